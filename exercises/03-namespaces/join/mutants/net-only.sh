# refused-by: joined-pid fault: not-in-pid
nsenter --target $(pgrep -x {{service}}) --net bash
ip link set lo up
