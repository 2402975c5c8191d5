# A container with a root of its own, made with unshare(1): its loopback interface stays down.
mkdir -p /root/answer
mount --make-rshared /
root=/srv/{{service}}
mkdir -p $root/bin $root/proc $root/dev
mknod $root/dev/null c 1 3 # the shell reads it when it puts a program into the background
cp /bin/busybox $root/bin/busybox
ln -s busybox $root/bin/sh
ln -s busybox $root/bin/sleep
printf '#!/bin/sh\nsleep 1000000 &\nwait\n' > $root/bin/{{service}}
chmod 755 $root/bin/{{service}}
setsid -f unshare --pid --fork --mount --uts --ipc --net chroot $root /bin/{{service}} </dev/null >/dev/null 2>&1
while [ $SECONDS -lt 60 ]; do
  if pgrep -P "$(pgrep -x {{service}} | head -n 1)" -x sleep >/dev/null 2>&1; then exit 0; fi
  sleep 0.05
done
echo "{{service}} did not start" >&2
exit 1
