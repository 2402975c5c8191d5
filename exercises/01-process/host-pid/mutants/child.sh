# refused-by: host-pid fault: not-first
for p in $(pgrep -x {{service}}); do grep -qP '^NSpid:\t\d+\t1$' /proc/$p/status && first=$p; done
pgrep -P $first > /root/answer/host-pid
