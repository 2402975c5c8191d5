# refused-by: no-leak fault: leaked
nsenter --target $(pgrep -x {{service}}) --mount bash
mount -t tmpfs tmpfs /mnt/{{place}}
mount --make-rprivate /
