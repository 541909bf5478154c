#!/bin/sh
# Says `oom-kill` if the kernel killed a process of the container for memory since a command began.
# The counts are those of `memory.events` of cgroup v2, or of `memory.oom_control` of v1.
# $1: the command's mark.
o=0
for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$f" ] && while read -r k v _; do
        [ "$k" = oom_kill ] && o=$v
    done <"$f"
done
b=$o
while read -r m c; do
    [ "$m" = "$1" ] && b=$c
done 2>/dev/null </dev/shm/.podbay
[ "$o" -gt "$b" ] && echo oom-kill
