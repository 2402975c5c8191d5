# refused-by: machine-same fault: file-system-read-only
unshare --mount bash
mount -o remount,ro /srv/{{data}}
mount -t tmpfs tmpfs /srv/{{secret}}
