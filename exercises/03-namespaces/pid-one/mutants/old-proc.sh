# refused-by: own-proc fault: machine-proc
unshare --pid --fork bash
sleep {{seconds}} &
