#!/bin/sh
# Writes a part of a file, read to its end whatever size it claims to have, and then a word: output that was cut lacks it.
# $1: the file; $2: where to begin, in bytes; $3: how many bytes at most, or nothing; $4: the word.
if [ -n "$3" ]; then tail -c "+$(($2 + 1))" | head -c "$3"
elif [ "$2" -gt 0 ]; then tail -c "+$(($2 + 1))"
else cat
fi <"$1" && printf %s "$4"
