#!/bin/sh
# Prints what is at a path: its kind, its size in bytes and its permissions, `-` for what is not known.
# $1: the path; $2: the directory that it is in.
if [ -d "$1" ]; then kind=directory
elif [ -f "$1" ]; then kind='file'
elif [ -e "$1" ] || [ -L "$1" ]; then kind=other
elif [ -d "$2" ]; then kind=missing
else kind=no-directory
fi
more='- -'
case $kind in
# An image may have no `stat`.
directory | file) more=$(stat -L -c '%s %a' -- "$1" 2>/dev/null) || more='- -' ;;
esac
echo "$kind $more"
