#!/bin/sh
# Writes what comes on standard input to a file, and prints how many bytes the file has then.
# $1: the file.
cat >"$1" && wc -c <"$1"
