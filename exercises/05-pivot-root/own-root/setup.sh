# On most machines systemd makes all mounts shared; so does this one.
mkdir -p /root/answer
mount --make-rshared /
root=/srv/{{box}}
mkdir -p $root/bin $root/etc $root/proc $root/tmp $root/root
cp /bin/busybox $root/bin/busybox
for name in sh ls cat mount umount mkdir rmdir ps id sleep readlink hostname; do ln -s busybox $root/bin/$name; done
echo {{box}} > $root/etc/box
