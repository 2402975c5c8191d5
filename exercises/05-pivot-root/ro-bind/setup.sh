# /srv/{{data}} is a file system of its own, and all mounts are shared, as systemd has them.
mkdir -p /root/answer /srv/{{data}} /srv/{{secret}}
mount -t tmpfs -o size=1m,mode=755 {{data}} /srv/{{data}}
echo "write here, outside of your sandbox" > /srv/{{data}}/readme
echo "not for everyone" > /srv/{{secret}}/note
mount --make-rshared /
