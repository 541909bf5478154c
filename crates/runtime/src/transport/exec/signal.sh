#!/bin/sh
# Sends a signal to a command, and not to its descendants: of the processes that inherited its mark the one whose parent is
# the shell that carries it (which has the mark among its arguments alone) or, where that shell became the command, is
# outside of the container; else those whose parents have no mark. Shell builtins alone.
# $1: the mark; $2: the signal's number.
marked=' ' carriers=' 0 '
for p in /proc/[0-9]*; do
    n=${p#/proc/}
    [ "$n" != $$ ] || continue
    for f in environ cmdline; do
        while IFS= read -r l || [ -n "$l" ]; do
            case $l in
            *"$1"*)
                case $f in
                environ) marked="$marked$n " ;;
                *) carriers="$carriers$n " ;;
                esac
                break 2
                ;;
            esac
        done 2>/dev/null <"$p/$f"
    done
done
parent() {
    u=
    while read -r k v; do
        case $k in PPid:)
            u=$v
            break
            ;;
        esac
    done 2>/dev/null <"/proc/$1/status"
}
t=
for n in $marked; do
    parent "$n"
    case $carriers in *" $u "*) t="$t $n" ;; esac
done
[ -n "$t" ] || for n in $marked; do
    parent "$n"
    case $marked in *" $u "*) ;; *) t="$t $n" ;; esac
done
# shellcheck disable=SC2086 # several processes
[ -n "$t" ] && kill -"$2" $t
