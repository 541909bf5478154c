# shellcheck shell=bash
# One certificate authority per cluster, a leaf for each component, and the kubeconfigs made of them.
# Each client has a user name of its own: that is how the audit log tells them apart.

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }

authority() {
  new_key ca
  openssl req -x509 -new -key ca.key -subj /CN=podbay-cluster-ca -days 3650 -out ca.crt \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null
}

# leaf NAME SUBJECT clientAuth|serverAuth [ALTERNATIVE-NAMES]
leaf() {
  local extensions="keyUsage=critical,digitalSignature
extendedKeyUsage=$3
${4:+subjectAltName=$4}"
  new_key "$1"
  openssl req -new -key "$1.key" -subj "$2" 2>/dev/null |
    openssl x509 -req -CA ca.crt -CAkey ca.key -set_serial "0x$(openssl rand -hex 8)" -days 3650 -out "$1.crt" \
      -extfile <(echo "$extensions") 2>/dev/null
}

kubeconfig() { # kubeconfig LEAF FILE
  cat >"$2" <<E
apiVersion: v1
kind: Config
current-context: podbay-cluster
clusters: [{name: podbay-cluster, cluster: {server: "https://$NODE_IP:$API_PORT", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: podbay-cluster, context: {cluster: podbay-cluster, user: $1, namespace: default}}]
E
}

make_pki() {
  (
    umask 077
    cd "$STATE/pki" || exit
    authority
    leaf apiserver /CN=kube-apiserver serverAuth "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:$SERVICE_IP"
    leaf kubelet-server "/CN=system:node:$NODE" serverAuth "DNS:$NODE,IP:$NODE_IP,IP:127.0.0.1"
    leaf apiserver-kubelet-client /CN=podbay-apiserver-kubelet-client clientAuth # bound in manifests/base.yaml
    leaf admin /O=system:masters/CN=podbay-admin clientAuth
    leaf provisioner /O=system:masters/CN=podbay-provisioner clientAuth
    leaf dns /O=system:masters/CN=podbay-dns clientAuth
    leaf controller-manager /CN=system:kube-controller-manager clientAuth
    leaf scheduler /CN=system:kube-scheduler clientAuth
    leaf proxy /CN=system:kube-proxy clientAuth
    leaf node "/O=system:nodes/CN=system:node:$NODE" clientAuth
    # Service account tokens are checked with a key, not a certificate.
    openssl genrsa -out service-accounts.key 2048 2>/dev/null
    openssl rsa -in service-accounts.key -pubout -out service-accounts.pub 2>/dev/null
    for c in provisioner dns controller-manager scheduler proxy node; do kubeconfig "$c" "$STATE/conf/$c.kubeconfig"; done
    kubeconfig admin "$KUBECONFIG_ADMIN"
  )
}
