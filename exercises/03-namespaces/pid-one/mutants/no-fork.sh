# refused-by: pid-one fault: not-forked
unshare --pid bash
