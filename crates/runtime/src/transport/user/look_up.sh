#!/bin/sh
# Prints, line by line, what is needed to run a command as another user: this shell's own user and group, the way (`own`:
# it is this user already; `not-root`: only root can change its user; `none`: the image has no program for it), the user, its group, its
# name if it has one, and its home directory.
# $1: the user's id; $2: the group's id, or nothing for that of /etc/passwd, else 0 as container runtimes have it.
own='' own_group='' name='' gid=$2 primary='' home=/
while read -r key value _; do
    case $key in
    Uid:) own=$value ;;
    Gid:) own_group=$value ;;
    esac
done 2>/dev/null </proc/self/status
while IFS=: read -r entry _ user group _ directory _; do
    [ "$user" = "$1" ] || continue
    name=$entry primary=$group home=$directory
    break
done 2>/dev/null </etc/passwd
[ -n "$gid" ] || gid=${primary:-0}
way=none
if [ "$own" = "$1" ] && { [ -z "$2" ] || [ "$own_group" = "$2" ]; }; then way=own gid=$own_group
elif [ "$own" != 0 ]; then way=not-root
# Each is tried: it may be another program of that name (busybox has some), or the container may lack the capability.
elif setpriv --reuid="$1" --regid="$gid" --clear-groups -- /bin/sh -c : >/dev/null 2>&1; then way=setpriv
elif chroot --userspec="$1:$gid" --groups="$gid" / /bin/sh -c : >/dev/null 2>&1; then way=chroot
# It takes a name alone, and the group that goes with it.
elif [ -n "$name" ] && [ "$gid" = "$primary" ] && su -s /bin/sh -c : -- "$name" >/dev/null 2>&1 </dev/null; then way=su
fi
printf '%s\n' "$own" "$own_group" "$way" "$1" "$gid" "$name" "$home"
