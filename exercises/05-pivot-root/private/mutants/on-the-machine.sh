# refused-by: private fault: machine-changed
mount --make-rprivate /
