#!/bin/sh
# Takes the session's key, a line, and the agent, the rest, from standard input, once it has asked for them on standard output;
# puts both in their places and has the container's first process become the agent. Says on standard error what is wrong.
# $1: the agent's place; $2: the key's; $3: the machine that it is built for; $4: its bytes; $5: its SHA-256; $6: what the
# names of files on their way have, which no other upload has; $7: the process that is to become the agent, which is the first one.
# The key is there before the agent is, and the agent removes it: where the agent is and its key is not, all is done.
p=$7
agent_runs() {
    read -r n 2>/dev/null </proc/"$p"/comm || return 1
    [ "$n" = podbay-agent ] || [ "$n" = exe ]
}
fail() {
    c=$1
    shift
    rm -f "$t" "$k"
    echo "$*" >&2
    # To the end of the input, where any was asked for: who ends before it may lose its exit code and words on the way.
    [ -z "$asked" ] || cat >/dev/null
    exit "$c"
}
asked=
t=$1.$6
k=$2.$6
[ -e "$1" ] && [ ! -e "$2" ] && exit 0
umask 077
if command -v uname >/dev/null; then
    m=$(uname -m)
    [ "$m" = "$3" ] || fail 3 "the agent is built for $3, and the node is a $m"
fi
if [ ! -e "$1" ]; then
    echo send
    asked=1
    IFS= read -r key || fail 4 "the key did not come through"
    cat >"$t" || fail 4 "the agent could not be written"
    b=$(wc -c <"$t" 2>/dev/null) && [ "$((b))" -ne "$4" ] && fail 4 "$((b)) of the agent's $4 bytes came through"
    if command -v sha256sum >/dev/null; then
        h=$(sha256sum <"$t")
        [ "${h%% *}" = "$5" ] || fail 4 "the agent came through with another hash"
    fi
    chmod 755 "$t" || fail 4 "the agent could not be made executable"
    # It knows no such mode, and says so with 2: what can't be run at all has 126, 127 or a signal.
    "$t" probe </dev/null >/dev/null 2>&1
    c=$?
    [ "$c" -lt 126 ] || fail 5 "the agent can't be run there (exit code $c)"
    # Another upload may have been faster: then its files stay, and the first process may have taken the key already.
    if [ ! -e "$1" ]; then
        printf '%s\n' "$key" >"$k" || fail 4 "the key could not be written"
        mv "$k" "$2" || fail 4 "the key could not be put in its place"
        ln "$t" "$1" 2>/dev/null || [ -e "$1" ] || mv "$t" "$1" || fail 4 "the agent could not be put in its place"
    fi
    rm -f "$t"
    unset key
fi
i=0
while [ "$i" -lt 100 ]; do
    [ -e "$2" ] || exit 0
    agent_runs || kill -s USR1 "$p" 2>/dev/null
    i=$((i + 1))
    sleep 0.05 2>/dev/null || { sleep 1; i=$((i + 19)); }
done
# A key that came after the agent had taken one.
agent_runs && rm -f "$2" && exit 0
fail 6 "the container's first process did not become the agent"
