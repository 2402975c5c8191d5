# refused-by: host-pid fault: inside-pid
echo 1 > /root/answer/host-pid
