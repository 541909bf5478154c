#!/bin/sh
# Becomes a command of another user.
# $1: the way, as look_up.sh found it; $2, $3: the user's and the group's id; $4: the user's name, if it has one; $5: its
# home directory; then the command.
way=$1 uid=$2 gid=$3 name=$4
HOME=$5
export HOME
if [ -n "$name" ]; then
    USER=$name LOGNAME=$name
    export USER LOGNAME
fi
shift 5
# shellcheck disable=SC2016 # what stands in single quotes is for another shell
case $way in
setpriv) exec setpriv --reuid="$uid" --regid="$gid" --clear-groups -- "$@" ;;
# It begins at the root.
chroot) exec chroot --userspec="$uid:$gid" --groups="$gid" / /bin/sh -c 'cd -- "$0" || exit 126; exec "$@"' "$PWD" "$@" ;;
su) exec su -s /bin/sh -c 'exec "$@"' -- "$name" podbay "$@" ;;
esac
