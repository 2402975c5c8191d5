# refused-by: walls fault: missing
echo mnt > /root/answer/walls
