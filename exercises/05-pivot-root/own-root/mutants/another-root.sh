# refused-by: new-root fault: wrong-root
unshare --mount bash
mount -t tmpfs tmpfs /mnt
cp -a /srv/{{box}}/bin /mnt
mkdir /mnt/old /mnt/proc
cd /mnt
pivot_root . old
exec /bin/sh
