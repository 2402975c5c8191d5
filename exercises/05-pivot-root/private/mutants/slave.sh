# refused-by: private fault: slave
nsenter --target $(pgrep -x {{service}}) --mount bash
mount --make-rslave /
mount -t tmpfs tmpfs /mnt/{{place}}
