# {{left}} gets some namespaces of its own; {{right}} joins some of these and gets the rest new.
mkdir -p /root/answer /opt/exercise
for name in {{left}} {{right}}; do
  printf '#!/bin/sh\nsleep 1000000 &\nwait\n' > /opt/exercise/$name
  chmod 755 /opt/exercise/$name
done

flags() {
  for kind in "$@"; do
    if [ $kind = mnt ]; then echo --mount; else echo --$kind; fi
  done
}
await() {
  while [ $SECONDS -lt 60 ]; do
    if pgrep -x "$1" >/dev/null; then return 0; fi
    sleep 0.05
  done
  echo "$1 did not start" >&2
  exit 1
}

setsid -f unshare $(flags {{walls}}) /opt/exercise/{{left}} </dev/null >/dev/null 2>&1
await {{left}}
rest=
for kind in mnt net uts ipc cgroup; do
  case " {{shared}} " in
    *" $kind "*) ;;
    *) rest="$rest $kind" ;;
  esac
done
setsid -f nsenter --target $(pgrep -x {{left}}) $(flags {{shared}}) unshare $(flags $rest) /opt/exercise/{{right}} </dev/null >/dev/null 2>&1
await {{right}}
