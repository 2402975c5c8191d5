# refused-by: own-proc fault: proc-hidden
unshare --pid --fork bash
mount -t proc proc /proc
