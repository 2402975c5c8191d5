# refused-by: shared fault: extra
echo cgroup ipc mnt net pid time user uts > /root/answer/shared
