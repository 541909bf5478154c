#!/bin/sh
# Carries a command: marks its environment, so that it and its descendants are found again, notes how many processes the
# kernel had killed for memory before, and changes the directory. With a terminal it becomes the command. Else a shell of its
# own does, and this one stays to write the end on both streams: the exec itself ends only when all that the command left
# behind has closed them.
# $1: the mark; $2: the directory, or nothing; $3: what comes before the exit code at the end; $4: `none`, `stream` or
# `terminal`, for what standard input is; $5, $6: the terminal's rows and columns; $7: `staged` where the words of the command
# are in a file; else they follow.
# Shell builtins alone, so that it costs microseconds and no process.
o=0
for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$f" ] && while read -r k v _; do
        [ "$k" = oom_kill ] && o=$v
    done <"$f"
done
{ echo "$1 $o" >>/dev/shm/.podbay; } 2>/dev/null
[ ! -e /dev/shm/.podbay-kill-"$1" ] || exit 137
PODBAY_EXEC_ID=$1
export PODBAY_EXEC_ID
# An agent reads the session's key from there, and commands are not to.
[ ! -d /.podbay ] || unset SESSION_API_KEY
[ -z "$2" ] || cd -- "$2" || exit 126
p=/dev/shm/.podbay-$1
if [ "$4" = terminal ]; then
    # The size that is sent with the streams may arrive after the command has asked for it.
    stty rows "$5" cols "$6" 2>/dev/null
    # shellcheck source=/dev/null
    if [ "$7" = staged ]; then . "$p"; rm -f "$p"; else shift 7; fi
    unset o f k v p _
    exec "$@"
fi
# This shell's own words about a signal go nowhere.
exec 3<&0 4>&2 2>/dev/null
(
    exec 3<&- 2>&4 4>&-
    # shellcheck source=/dev/null
    if [ "$7" = staged ]; then . "$p"; rm -f "$p"; else shift 7; fi
    unset o f k v p _
    exec "$@"
)
c=$?
echo "$3$c"
echo "$3$c" >&4
# A reader for what the command did not read of its standard input. Without, an exec whose command ends with more than some
# 100 KB of input unread never ends: the node waits to hand the rest over, and with it waits the status (seen with kubectl
# too, over both of its protocols, containerd 2.4). The reader outlives this shell until the node closes the input.
if [ "$4" = stream ]; then cat <&3 >/dev/null 3<&- 4>&- & fi
exit $c
