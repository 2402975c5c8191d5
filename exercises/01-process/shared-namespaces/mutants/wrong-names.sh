# refused-by: walls fault: unknown-name
echo mount network > /root/answer/walls
