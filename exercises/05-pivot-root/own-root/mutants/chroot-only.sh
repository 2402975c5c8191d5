# refused-by: new-root fault: machine-namespace
chroot /srv/{{box}} /bin/sh
mount -t proc proc /proc
