# Runs a program that must not outlive its parent.
#
#   sh -c SCRIPT supervisor GRACE PROGRAM [ARGUMENT]...
#
# Standard input is a pipe that the parent holds and never writes to. When it
# ends, because the parent closed it or is gone, however it went, the program
# gets SIGTERM, and SIGKILL when GRACE tenths of a second have passed. The exit
# status is the program's, 128 more than the number of a signal that ended it.
grace=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
# What a shell says about ended jobs does not belong into the program's output.
exec >/dev/null 2>&1
(
    while read -r _ <&3; do :; done
    kill -TERM "$program"
    while [ "$grace" -gt 0 ] && kill -0 "$program"; do
        sleep 0.1
        grace=$((grace - 1))
    done
    kill -KILL "$program"
) &
wait "$program"
status=$?
# Ends the watcher, and what the program may have left behind in this group.
trap '' TERM
kill -TERM 0
wait
exit "$status"
