# On most machines systemd makes all mounts shared; so does this one.
mkdir -p /root/answer
mount --make-rshared /
