# refused-by: private fault: shared
nsenter --target $(pgrep -x {{service}}) --mount bash
mount --make-private /
mount -t tmpfs tmpfs /mnt/{{place}}
