# refused-by: joined-net fault: new-namespace
unshare --net --pid --fork bash
ip link set lo up
