#!/bin/sh
# Carries a command: marks its environment, so that it and its descendants are found again, notes how many processes the
# kernel had killed for memory before, and changes the directory. With a terminal it becomes the command. Else a shell of its
# own does, and this one stays to write the end on both streams: the exec itself ends only when all that the command left
# behind has closed them.
# $1: the mark; $2: the directory, or nothing; $3: what comes before the exit code at the end; $4: `none`, `stream` or
# `terminal`, for what standard input is; $5, $6: the terminal's rows and columns; $7: `staged` where the words of the command
# are in a file; else they follow.
# Shell builtins alone, so that it costs microseconds and no process. Its own variables have names that no image's environment
# is likely to have: the command gets all of that.
podbay_kills=0
for podbay_file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$podbay_file" ] && while read -r podbay_key podbay_value _; do
        [ "$podbay_key" = oom_kill ] && podbay_kills=$podbay_value
    done <"$podbay_file"
done
{ echo "$1 $podbay_kills" >>/dev/shm/.podbay; } 2>/dev/null
[ ! -e /dev/shm/.podbay-kill-"$1" ] || exit 137
PODBAY_EXEC_ID=$1
export PODBAY_EXEC_ID
# An agent reads the session's key from there, and commands are not to.
[ ! -d /.podbay ] || unset SESSION_API_KEY
podbay_code=
podbay_staged=/dev/shm/.podbay-$1
[ -z "$2" ] || cd -- "$2" || {
    podbay_code=126
    rm -f "$podbay_staged"
}
if [ "$4" = terminal ]; then
    [ -z "$podbay_code" ] || exit "$podbay_code"
    # The size that is sent with the streams may arrive after the command has asked for it.
    stty rows "$5" cols "$6" 2>/dev/null
    # shellcheck source=/dev/null
    if [ "$7" = staged ]; then . "$podbay_staged"; rm -f "$podbay_staged"; else shift 7; fi
    unset podbay_kills podbay_file podbay_key podbay_value podbay_code podbay_staged _
    exec "$@"
fi
# This shell's own words about a signal go nowhere.
exec 3<&0 4>&2 2>/dev/null
if [ -z "$podbay_code" ]; then
    (
        exec 3<&- 2>&4 4>&-
        # shellcheck source=/dev/null
        if [ "$7" = staged ]; then . "$podbay_staged"; rm -f "$podbay_staged"; else shift 7; fi
        unset podbay_kills podbay_file podbay_key podbay_value podbay_code podbay_staged _
        exec "$@"
    )
    podbay_code=$?
fi
# Streams that the command has left non-blocking refuse what can't be had at once: it is tried so often, every tenth of a second.
podbay_insist() {
    podbay_tries=$1
    shift
    until "$@"; do
        podbay_tries=$((podbay_tries - 1))
        [ "$podbay_tries" -gt 0 ] || break
        sleep 0.1 || break
    done
}
podbay_insist 600 echo "$3$podbay_code"
podbay_insist 600 echo "$3$podbay_code" >&4
# What the command did not read of its standard input is read here, until the client closes it: it does when it sees a mark.
# Were this shell to end before, the node would end a connection on which the client still sends, and the API server, which
# passes the two directions on, would drop with the one what it has of the other: the status, and the last output. Without any
# reader the node would wait for ever to hand the rest over (seen with kubectl too, containerd 2.4).
if [ "$4" != stream ]; then
    exit "$podbay_code"
elif command -v cat; then
    podbay_insist 100 cat
else
    while read -r podbay_key; do :; done
fi <&3 >/dev/null 3<&- 4>&-
exit "$podbay_code"
