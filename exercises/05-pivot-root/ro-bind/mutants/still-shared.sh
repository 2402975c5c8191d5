# refused-by: machine-same fault: mount-added
unshare --mount --propagation unchanged bash
mount --bind /srv/{{data}} /srv/{{data}}
mount -o remount,bind,ro /srv/{{data}}
mount -t tmpfs tmpfs /srv/{{secret}}
