# refused-by: hostname fault: machine-renamed
hostname {{hostname}}
unshare --uts --ipc bash
