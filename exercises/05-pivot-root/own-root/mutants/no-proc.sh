# refused-by: own-proc fault: no-proc
unshare --mount bash
mount --bind /srv/{{box}} /srv/{{box}}
cd /srv/{{box}}
mkdir old
pivot_root . old
cd /
exec /bin/sh
umount -l /old
