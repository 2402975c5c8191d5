# refused-by: old-root-gone fault: old-root-visible
unshare --mount bash
mount --bind /srv/{{box}} /srv/{{box}}
cd /srv/{{box}}
mkdir old
pivot_root . old
cd /
exec /bin/sh
mount -t proc proc /proc
