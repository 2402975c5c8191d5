left=$(pgrep -x {{left}})
right=$(pgrep -x {{right}})
# The eight kinds: every link but the two for children
kinds=$(ls /proc/self/ns | grep -v for_children)
# Where {{left}} is not with this shell
for n in $kinds; do [ "$(readlink /proc/$left/ns/$n)" = "$(readlink /proc/$$/ns/$n)" ] || echo $n; done > /root/answer/walls
# Where {{left}} and {{right}} are together
for n in $kinds; do [ "$(readlink /proc/$left/ns/$n)" = "$(readlink /proc/$right/ns/$n)" ] && echo $n; done > /root/answer/shared
cat /root/answer/walls /root/answer/shared
