# refused-by: own-ipc fault: same-ipc
unshare --uts bash
hostname {{hostname}}
