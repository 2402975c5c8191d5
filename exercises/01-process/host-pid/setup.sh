# Two containers and a decoy. {{service}} runs in a container that Tare makes; {{other}} in one made by unshare(1) alone.
mkdir -p /root/answer /opt/exercise

for name in {{service}} {{other}}; do
  root=/srv/$name
  mkdir -p $root/bin $root/proc $root/sys $root/dev $root/tmp $root/etc
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
done

# The decoy has the same name, and is an ordinary process.
cp /srv/{{service}}/bin/{{service}} /opt/exercise/{{service}}
setsid -f /opt/exercise/{{service}} </dev/null >/dev/null 2>&1
setsid -f unshare --pid --fork --mount --uts --ipc chroot /srv/{{other}} /bin/{{other}} </dev/null >/dev/null 2>&1
setsid -f /opt/tare/dist/bin/tare run --rootfs /srv/{{service}} -- /bin/{{service}} </dev/null >/opt/exercise/log 2>&1

# Both are up when each has its child.
up() {
  for pid in $(pgrep -x "$1"); do
    if grep -qP '^NSpid:\t\d+\t1$' /proc/$pid/status 2>/dev/null && pgrep -P $pid -x sleep >/dev/null; then return 0; fi
  done
  return 1
}
for i in $(seq 300); do
  if up {{service}} && up {{other}}; then exit 0; fi
  sleep 0.1
done
echo "the containers did not come up: $(tail -n 1 /opt/exercise/log)" >&2
exit 1
