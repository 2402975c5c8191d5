# refused-by: inside-pid fault: host-number
for p in $(pgrep -x {{service}}); do grep -qP '^NSpid:\t\d+\t1$' /proc/$p/status && first=$p; done
echo $first > /root/answer/host-pid
pgrep -P $first > /root/answer/inside-pid
