# refused-by: read-only fault: writable
unshare --mount bash
mount --bind /srv/{{data}} /srv/{{data}}
mount -t tmpfs tmpfs /srv/{{secret}}
