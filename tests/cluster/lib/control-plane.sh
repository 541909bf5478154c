# shellcheck shell=bash
# etcd, the API server, the controller manager and the scheduler. They run in $STATE: relative paths are meant.

start_etcd() {
  # Without fsync: a test cluster's data need not survive the machine, and a shared disk's fsync takes up to 100 ms.
  start etcd "$BIN/etcd" --name "$NODE" --data-dir etcd --unsafe-no-fsync \
    --listen-client-urls "http://127.0.0.1:$ETCD_PORT" --advertise-client-urls "http://127.0.0.1:$ETCD_PORT" \
    --listen-peer-urls "http://127.0.0.1:$((ETCD_PORT + 1))" --initial-advertise-peer-urls "http://127.0.0.1:$((ETCD_PORT + 1))" \
    --initial-cluster "$NODE=http://127.0.0.1:$((ETCD_PORT + 1))" \
    --quota-backend-bytes 8589934592 --auto-compaction-mode periodic --auto-compaction-retention 30m
}

start_apiserver() {
  # Everything, once per request (and twice per watch: at its start and its end). Benchmarks count in this log.
  cat >conf/audit.yaml <<'E'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
E
  # Nothing is enforced unless a namespace's label says so, as in a fresh cluster of any distribution.
  cat >conf/admission.yaml <<'E'
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: privileged, enforce-version: latest, audit: restricted, audit-version: latest, warn: restricted, warn-version: latest}
    exemptions: {usernames: [], runtimeClasses: [], namespaces: [kube-system]}
E
  start kube-apiserver "$BIN/kube-apiserver" --etcd-servers "http://127.0.0.1:$ETCD_PORT" \
    --bind-address "$NODE_IP" --advertise-address "$NODE_IP" --secure-port "$API_PORT" \
    --tls-cert-file pki/apiserver.crt --tls-private-key-file pki/apiserver.key --client-ca-file pki/ca.crt --cert-dir run \
    --kubelet-client-certificate pki/apiserver-kubelet-client.crt --kubelet-client-key pki/apiserver-kubelet-client.key \
    --kubelet-certificate-authority pki/ca.crt --kubelet-preferred-address-types InternalIP \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --admission-control-config-file conf/admission.yaml --allow-privileged=true \
    --service-cluster-ip-range "$SERVICE_CIDR" \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file pki/service-accounts.pub --service-account-signing-key-file pki/service-accounts.key \
    --audit-policy-file conf/audit.yaml --audit-log-path audit/audit.log --audit-log-maxsize 200 --audit-log-maxbackup 2
}

start_controllers() {
  start kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig conf/controller-manager.kubeconfig \
    --authentication-kubeconfig conf/controller-manager.kubeconfig --authorization-kubeconfig conf/controller-manager.kubeconfig \
    --bind-address 127.0.0.1 --secure-port 10257 --cert-dir run --leader-elect=false --use-service-account-credentials=true \
    --service-account-private-key-file pki/service-accounts.key --root-ca-file pki/ca.crt \
    --cluster-signing-cert-file pki/ca.crt --cluster-signing-key-file pki/ca.key \
    --allocate-node-cidrs=false --service-cluster-ip-range "$SERVICE_CIDR"
  start kube-scheduler "$BIN/kube-scheduler" --kubeconfig conf/scheduler.kubeconfig \
    --authentication-kubeconfig conf/scheduler.kubeconfig --authorization-kubeconfig conf/scheduler.kubeconfig \
    --bind-address 127.0.0.1 --secure-port 10259 --cert-dir run --leader-elect=false
}
