# refused-by: host-pid fault: other-container
pgrep -x {{other}} > /root/answer/host-pid
