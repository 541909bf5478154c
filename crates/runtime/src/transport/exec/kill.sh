#!/bin/sh
# Kills a command with its descendants, those that left its session or process group too: they inherited its mark, unless
# they cleared their environment. The shell that is about to become the command has the mark among its arguments, and one
# that has not begun finds a file that tells it not to. Repeats itself until it finds none, since a process may fork while it
# is looked at. Shell builtins alone.
# $1: the mark. Ends with 1 where some are left.
{ : >/dev/shm/.podbay-kill-"$1"; } 2>/dev/null
n=0
while [ $n -lt 20 ]; do
    n=$((n + 1)) found=
    for p in /proc/[0-9]*; do
        [ "$p" != "/proc/$$" ] || continue
        hit=
        for f in environ cmdline; do
            while IFS= read -r l || [ -n "$l" ]; do
                case $l in *"$1"*) hit=1 ;; esac
            done 2>/dev/null <"$p/$f"
        done
        [ -z "$hit" ] || { kill -KILL "${p#/proc/}" && found=1; } 2>/dev/null
    done
    [ -n "$found" ] || exit 0
done
exit 1
