unshare --pid --fork --mount-proc bash
echo $$
sleep {{seconds}} &
ps -ef
