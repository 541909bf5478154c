#!/bin/sh
# Becomes a command in a directory.
# $1: the directory; then the command.
cd -- "$1" || exit 126
shift
exec "$@"
