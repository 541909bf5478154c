# shellcheck shell=bash
# The network namespace of a cluster, and what clusters change on the machine itself.

# The kubelet sets most of these by itself, machine-wide; the `down` of the last cluster puts them back.
MACHINE_SYSCTLS=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys
  kernel.keys.root_maxbytes fs.inotify.max_user_instances fs.inotify.max_user_watches)

make_namespace() {
  (
    flock 9
    if [ -e "/run/netns/$NETNS" ]; then
      owner=$(cat "$REGISTRY/clusters/$NETNS" 2>/dev/null || true)
      [ -n "$owner" ] || die "there is a network namespace '$NETNS' that no cluster made: set PODBAY_CLUSTER_NETNS"
      [ "$owner" = "$STATE" ] || [ ! -d "$owner" ] || die "the namespace '$NETNS' is of the cluster at $owner: set PODBAY_CLUSTER_NETNS"
      [ -z "$(ip netns pids "$NETNS" 2>/dev/null)" ] || die "processes are left in the namespace '$NETNS': see ip netns pids $NETNS"
      ip netns del "$NETNS"
    fi
    mkdir -p "$REGISTRY/clusters"
    [ -f "$REGISTRY/sysctl" ] || sysctl -e "${MACHINE_SYSCTLS[@]}" >"$REGISTRY/sysctl"
    mountpoint -q /run/netns || touch "$REGISTRY/made-run-netns"
    # Which of kubelet's fixed folders were there before us.
    for d in /var/lib/kubelet /var/log/containers /run/containerd; do [ -e "$d" ] || echo "$d"; done >>"$REGISTRY/made-folders"
    ip netns add "$NETNS"
    echo "$STATE" >"$REGISTRY/clusters/$NETNS"
  ) 9>/run/lock/podbay-cluster.lock
}

remove_namespace() {
  (
    flock 9
    [ "$(cat "$REGISTRY/clusters/$NETNS" 2>/dev/null)" = "$STATE" ] || exit 0
    for ((i = 0; i < 20; i++)); do
      left=$(ip netns pids "$NETNS" 2>/dev/null || true)
      [ -n "$left" ] || break
      sleep 0.1
    done
    # shellcheck disable=SC2086 # one argument a pid
    [ -z "$left" ] || say "left alone, still in the namespace: $(ps -o pid=,args= -p ${left//$'\n'/,} | cut -c1-150)"
    ip netns del "$NETNS"
    rm "$REGISTRY/clusters/$NETNS"
    [ -z "$(ls "$REGISTRY/clusters")" ] || exit 0
    # That was the last cluster.
    sysctl -qp "$REGISTRY/sysctl" >/dev/null || say "some sysctls could not be put back: see $REGISTRY/sysctl"
    sort -u "$REGISTRY/made-folders" | while read -r d; do # only what is empty goes
      find "$d" -depth -type d -empty -delete 2>/dev/null || true
    done
    if [ -f "$REGISTRY/made-run-netns" ] && [ -z "$(ls -A /run/netns)" ]; then umount /run/netns; rmdir /run/netns; fi
    rm -r "$REGISTRY"
  ) 9>/run/lock/podbay-cluster.lock
}

# Inside: the bridge carries the node's address. No uplink and no default route, so nothing gets out.
make_network() {
  ip link set lo up
  ip link add "$BRIDGE" type bridge
  ip addr add "$NODE_IP/24" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  # For processes that are no pods: a connection needs a route before kube-proxy's rules see it.
  ip route add "$SERVICE_CIDR" dev "$BRIDGE"
  # net.* is the namespace's own.
  sysctl -qw net.ipv4.ip_forward=1
  sysctl -qw net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
  # fs.* is the machine's: 240 pods' watches, never lowered.
  [ "$(sysctl -n fs.inotify.max_user_instances)" -ge 8192 ] || sysctl -qw fs.inotify.max_user_instances=8192
  [ "$(sysctl -n fs.inotify.max_user_watches)" -ge 524288 ] || sysctl -qw fs.inotify.max_user_watches=524288
}
