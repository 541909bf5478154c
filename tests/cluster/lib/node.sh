# shellcheck shell=bash
# The one node: container runtime, kubelet, Service proxy, DNS and volumes. All run in $STATE.

start_containerd() {
  mkdir -p conf/certs.d/_default
  # A pull can reach nothing but this port, where a test may start a registry. Until then it is refused at once.
  cat >conf/certs.d/_default/hosts.toml <<E
server = "http://127.0.0.1:$REGISTRY_PORT"
[host."http://127.0.0.1:$REGISTRY_PORT"]
capabilities = ["pull", "resolve"]
E
  cat >cni/net.d/10-podbay.conflist <<E
{"cniVersion": "1.0.0", "name": "$BRIDGE", "plugins": [
  {"type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$STATE/cni/data", "ranges": [[{"subnet": "$POD_CIDR", "gateway": "$NODE_IP", "rangeStart": "${NODE_IP%.*}.10"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
E
  cat >conf/containerd.toml <<E
version = 3
root = "$STATE/containerd"
state = "$STATE/run/containerd"
[grpc]
  address = "$CRI_SOCKET"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "docker.io/podbay/pause:1"
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = "$STATE/conf/certs.d"
[plugins.'io.containerd.cri.v1.runtime']
  tolerate_missing_hugetlb_controller = true
  # A machine without CAP_SYS_RESOURCE may lower no score, and a sandbox asks for -998. Without this line runc fails
  # with "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "$STATE/cni/net.d"
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = "$(command -v runc)"
        SystemdCgroup = false
        Root = "$STATE/run/runc"
[plugins.'io.containerd.internal.v1.opt']
  path = "$STATE/containerd/opt"
[plugins.'io.containerd.nri.v1.nri']
  disable = true # its socket has a fixed path, the same for every cluster
E
  start containerd "$BIN/containerd" --config conf/containerd.toml
}

# The pods' parent in every hierarchy (cgroup v1), or with the controllers that the kubelet asks for (v2).
make_cgroup() {
  local root=/sys/fs/cgroup h f
  if [ -f "$root/cgroup.controllers" ]; then
    mkdir -p "$root/$CGROUP"
    for h in "$root" "$root/$CGROUP"; do echo "+cpu +cpuset +io +memory +pids" >"$h/cgroup.subtree_control"; done
    return
  fi
  for h in "$root"/*/; do [ ! -e "${h}tasks" ] || mkdir -p "$h$CGROUP"; done
  for f in cpus mems; do cat "$root/cpuset/cpuset.$f" >"$root/cpuset/$CGROUP/cpuset.$f"; done
  echo $((1024 * $(nproc))) >"$root/cpu/$CGROUP/cpu.shares"
}

start_kubelet() {
  make_cgroup
  mount --make-rshared / # mount propagation of volumes; systemd does the same at boot
  echo "nameserver $NODE_IP" >conf/resolv.conf # none of the machine's own search domains
  cat >conf/kubelet.yaml <<E
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failSwapOn: false
oomScoreAdj: 0
address: $NODE_IP
port: 10250
healthzBindAddress: 127.0.0.1
healthzPort: 10248
readOnlyPort: 0
tlsCertFile: $STATE/pki/kubelet-server.crt
tlsPrivateKeyFile: $STATE/pki/kubelet-server.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $STATE/pki/ca.crt}}
authorization: {mode: Webhook}
clusterDomain: cluster.local
clusterDNS: [$NODE_IP]
resolvConf: $STATE/conf/resolv.conf
containerRuntimeEndpoint: unix://$CRI_SOCKET
podLogsDir: $STATE/pod-logs
volumePluginDir: $STATE/kubelet/volumeplugins
maxPods: 240
serializeImagePulls: false
# No registry has these images: none may be collected, however full the machine's disk is.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 200Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
E
  start kubelet "$BIN/kubelet" --config conf/kubelet.yaml --kubeconfig conf/node.kubeconfig --root-dir "$STATE/kubelet" \
    --hostname-override "$NODE" --node-ip "$NODE_IP"
}

start_proxy() {
  cat >conf/proxy.yaml <<E
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
oomScoreAdj: 0
clusterCIDR: $POD_CIDR
hostnameOverride: $NODE
bindAddress: $NODE_IP
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
clientConnection: {kubeconfig: $STATE/conf/proxy.kubeconfig}
conntrack: {maxPerCore: 0}
nodePortAddresses: ["$POD_CIDR"]
E
  start kube-proxy "$BIN/kube-proxy" --config conf/proxy.yaml
}

start_dns() {
  cat >conf/Corefile <<E
.:53 {
  bind $NODE_IP
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $STATE/conf/dns.kubeconfig
  }
  cache 10
}
E
  start dns "$BIN/podbay-dns" -conf conf/Corefile
}

start_provisioner() {
  mkdir -p volumes
  # `env`, so that `component start` finds the whole command in one vector.
  start provisioner env "KUBECONFIG=$STATE/conf/provisioner.kubeconfig" "$BIN/podbay-bench" provision "$STATE/volumes"
}
