# refused-by: own-uts fault: same-uts
unshare --uts --ipc hostname {{hostname}}
