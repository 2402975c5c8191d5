# refused-by: shared fault: missing
echo {{shared}} > /root/answer/shared
