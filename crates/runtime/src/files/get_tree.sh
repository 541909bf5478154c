#!/bin/sh
# Writes a tar archive of a file or directory, unless it has files whose size is not that of their contents: those of /proc
# and the like. tar would send them empty, cut or filled up with zeros, and mostly call it a success.
# $1: a directory; $2: the name in it, after `./`.
# Ends with 79 where such files are in the way, and says on standard error whether it is the file itself or a mount.
unset CDPATH
# tar leaves the slash out and sends the file.
case $2 in
*/) [ -d "$1/$2" ] || {
    echo "$1/$2: not a directory" >&2
    exit 2
} ;;
esac
if root=$(cd -P -- "$1/$2" 2>/dev/null && pwd); then tree=yes
else
    tree=
    root=$(cd -P -- "$1/." 2>/dev/null && pwd) && root=${root%/}/${2#./}
fi
nearest='' inside='' sizeless=
# Each line: id, parent, device, root, mount point, options ..., a dash, the type, the source, options.
while read -r _ _ _ _ mount rest; do
    case ${rest#* - } in
    "proc "* | "sysfs "* | "cgroup "* | "cgroup2 "* | "debugfs "* | "tracefs "* | "securityfs "* | "configfs "* | "pstore "* | "bpf "*)
        without_sizes=yes
        ;;
    *) without_sizes= ;;
    esac
    # The last of the longest mount points above is what the path is on.
    case $root/ in
    "${mount%/}"/*) [ ${#mount} -lt ${#nearest} ] || { nearest=$mount sizeless=$without_sizes; } ;;
    esac
    case $mount/ in
    "${root%/}"/*) [ -z "$without_sizes" ] || inside=$mount ;;
    esac
done 2>/dev/null </proc/self/mountinfo
if [ -z "$tree" ] && [ -n "$sizeless" ]; then
    echo "podbay: sizeless file" >&2
    exit 79
elif [ -n "$tree" ] && [ -n "$sizeless$inside" ]; then
    [ -n "$inside" ] || inside=$nearest
    echo "podbay: sizeless mount $inside" >&2
    exit 79
fi
exec tar -C "$1" -cf - "$2"
