# The machine's mounts are shared, as systemd has them, and {{service}} has a copy in the same peer groups.
mkdir -p /root/answer /opt/exercise /mnt/{{place}}
mount --make-rshared /
printf '#!/bin/sh\nsleep 1000000 &\nwait\n' > /opt/exercise/{{service}}
chmod 755 /opt/exercise/{{service}}
setsid -f unshare --mount --propagation unchanged /opt/exercise/{{service}} </dev/null >/dev/null 2>&1
while [ $SECONDS -lt 60 ]; do
  if pgrep -P "$(pgrep -x {{service}} | head -n 1)" -x sleep >/dev/null 2>&1; then exit 0; fi
  sleep 0.05
done
echo "{{service}} did not start" >&2
exit 1
