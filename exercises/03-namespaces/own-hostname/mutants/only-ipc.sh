# refused-by: own-uts fault: same-uts
unshare --ipc bash
