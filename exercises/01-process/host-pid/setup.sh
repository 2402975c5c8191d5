# Two containers and a decoy. Each container is made by unshare(1): it has namespaces and a root directory of its own.
mkdir -p /root/answer /opt/exercise

for name in {{service}} {{other}}; do
  root=/srv/$name
  mkdir -p $root/bin $root/proc $root/dev
  mknod $root/dev/null c 1 3 # the shell reads it when it puts a program into the background
  cp /bin/busybox $root/bin/busybox
  ln -s busybox $root/bin/sh
  ln -s busybox $root/bin/sleep
  # Some short-lived processes first, so that the child's pid cannot be guessed.
  cat > $root/bin/$name <<'END'
#!/bin/sh
for i in $(busybox seq {{forks}}); do busybox true; done
sleep 1000000 &
wait
END
  chmod 755 $root/bin/$name
  setsid -f unshare --pid --fork --mount --uts --ipc --net --cgroup chroot $root /bin/$name </dev/null >/dev/null 2>&1
done

# The decoy has the same name, and is an ordinary process.
cp /srv/{{service}}/bin/{{service}} /opt/exercise/{{service}}
setsid -f /opt/exercise/{{service}} </dev/null >/dev/null 2>&1

# Three programs, each with its child.
up() {
  set -- $(pgrep -x '{{service}}|{{other}}')
  [ $# -eq 3 ] && [ "$(pgrep -x -P "$1,$2,$3" sleep | wc -l)" -eq 3 ]
}
while [ $SECONDS -lt 60 ]; do
  if up; then exit 0; fi
  sleep 0.1
done
echo "the containers did not come up" >&2
exit 1
