# All processes of that name, with all their pids
for p in $(pgrep -x {{service}}); do echo "$p: $(grep NSpid /proc/$p/status)"; done
# The one with two numbers, the last of which is 1
for p in $(pgrep -x {{service}}); do grep -qP '^NSpid:\t\d+\t1$' /proc/$p/status && first=$p; done
echo $first > /root/answer/host-pid
# Its child, and the last of the child's pids
child=$(pgrep -P $first)
awk '/^NSpid/ { print $NF }' /proc/$child/status > /root/answer/inside-pid
