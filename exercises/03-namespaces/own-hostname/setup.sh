mkdir -p /root/answer
