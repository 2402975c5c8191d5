# refused-by: hidden fault: visible
unshare --mount bash
mount --bind /srv/{{data}} /srv/{{data}}
mount -o remount,bind,ro /srv/{{data}}
