# refused-by: hostname fault: wrong-name
unshare --uts --ipc bash
