# refused-by: neighbour fault: outside
sleep {{seconds}} &
unshare --pid --fork --mount-proc bash
