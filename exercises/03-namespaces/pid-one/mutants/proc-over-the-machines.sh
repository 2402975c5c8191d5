# refused-by: pid-one fault: proc-hidden
unshare --pid --fork bash
mount -t proc proc /proc
