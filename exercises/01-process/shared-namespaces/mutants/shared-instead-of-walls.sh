# refused-by: walls fault: extra
left=$(pgrep -x {{left}})
for n in cgroup ipc mnt net pid time user uts; do [ "$(readlink /proc/$left/ns/$n)" = "$(readlink /proc/$$/ns/$n)" ] && echo $n; done > /root/answer/walls
