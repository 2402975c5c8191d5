# refused-by: read-only fault: no-namespace
mount --bind /srv/{{data}} /srv/{{data}}
mount -o remount,bind,ro /srv/{{data}}
mount -t tmpfs tmpfs /srv/{{secret}}
