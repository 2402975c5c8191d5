# refused-by: new-root fault: machine-root
unshare --mount bash
mount --bind /srv/{{box}} /srv/{{box}}
cd /srv/{{box}}
