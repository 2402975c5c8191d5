# refused-by: new-root fault: chrooted
unshare --mount bash
mount --bind /srv/{{box}} /srv/{{box}}
exec chroot /srv/{{box}} /bin/sh
mount -t proc proc /proc
