# shellcheck shell=bash disable=SC2034 # sourced by every script here, never run: most names are used there
# Where a cluster lives and what it is called.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CALLER_PATH=$PATH

# The settings. README.md explains them.
CACHE=${PODBAY_CLUSTER_CACHE:-${HOME:-/root}/.cache/podbay-cluster}
STATE=${PODBAY_CLUSTER_STATE:-/tmp/podbay-cluster}
NETNS=${PODBAY_CLUSTER_NETNS:-podbay}

say() { printf '[%6.1fs] %s\n' "$(((${EPOCHREALTIME/./} - T0) / 100000))e-1" "$*" >&2; }
die() { printf 'podbay cluster: %s\n' "$*" >&2; exit 1; }
T0=${T0:-${EPOCHREALTIME/./}} # microseconds; the second half of `up` inherits it

# Paths go unquoted into YAML, TOML and a mount table.
[[ $STATE =~ ^/[A-Za-z0-9._/-]+$ ]] || die "PODBAY_CLUSTER_STATE must be an absolute path of plain characters, not '$STATE'"
# A Unix socket's path has at most 107 bytes (unix(7)), and containerd adds up to 40 to the state's.
[ ${#STATE} -le 64 ] || die "PODBAY_CLUSTER_STATE is longer than 64 characters: $STATE"
# The default state is under /tmp, where anybody could have made it first.
[ ! -e "$STATE" ] || [ -O "$STATE" ] || die "$STATE belongs to somebody else"
# The other scripts need only the state: a cluster remembers its namespace.
[ ! -f "$STATE/netns" ] || NETNS=$(<"$STATE/netns")
[[ $NETNS =~ ^[a-z0-9][a-z0-9-]{0,30}$ ]] || die "PODBAY_CLUSTER_NETNS is no name for a namespace: '$NETNS'"

BIN=$CACHE/bin
IMAGES=$CACHE/images
# Which clusters there are on this machine, and its sysctls from before the first one.
REGISTRY=/run/podbay-cluster
# The pods' parent cgroup. A kubelet kills what it does not know under its root, so each cluster has its own.
CGROUP=podbay-cluster-$NETNS
KUBECONFIG_ADMIN=$STATE/admin.kubeconfig
CRI_SOCKET=$STATE/run/containerd.sock

# Every cluster sees only its own namespace, so these never collide.
NODE=podbay-node
BRIDGE=podbay0
NODE_IP=10.44.0.1       # also the DNS server and the API server's address
POD_CIDR=10.44.0.0/24
SERVICE_CIDR=10.45.0.0/24
SERVICE_IP=10.45.0.1    # `kubernetes.default`
API_PORT=6443
ETCD_PORT=23790
REGISTRY_PORT=5000      # the only place an image pull goes: 127.0.0.1 of the namespace

export PATH=$BIN:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin:$PATH

inside() { [ "$(readlink /proc/self/ns/net)" = "net:[$(stat -Lc %i "/run/netns/$NETNS" 2>/dev/null)]" ]; }

# enter COMMAND...: becomes COMMAND in the cluster's namespace, where no proxy is in reach.
# Not `ip netns exec`: that remounts /sys and hides the cgroup mounts.
enter() {
  [ -e "/run/netns/$NETNS" ] || die "no cluster at $STATE: run $HERE/up"
  exec env -u http_proxy -u https_proxy -u all_proxy -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY \
    nsenter --net="/run/netns/$NETNS" -- "$@"
}

# locked SCRIPT ARGS...: runs SCRIPT again, alone among those which change this cluster. -o: no daemon keeps the lock.
locked() {
  [ -z "${PODBAY_CLUSTER_LOCKED:-}" ] || return 0
  mkdir -p /run/lock
  PODBAY_CLUSTER_LOCKED=1 exec flock -o "/run/lock/podbay-cluster-$NETNS.lock" "$@"
}
