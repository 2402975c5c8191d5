# refused-by: host-pid fault: machine-process
pgrep -x {{service}} --ns $$ --nslist pid > /root/answer/host-pid
