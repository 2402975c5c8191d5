unshare --mount bash
mount --bind /srv/{{data}} /srv/{{data}}
mount -o remount,bind,ro /srv/{{data}}
mount -t tmpfs tmpfs /srv/{{secret}}
touch /srv/{{data}}/new
ls /srv/{{secret}}
