//! `[kubernetes]`: which cluster, and what the pods in it get.

use std::path::PathBuf;

use crate::declaration::settings;
use crate::rule::{OPTIONAL_PATH, OPTIONAL_TEXT, QUANTITY, SWITCH, TEXT, TOLERATIONS};
use crate::setting::Section;
use crate::toleration::Toleration;

settings! {
    /// `[kubernetes]`: which cluster, and what the pods in it get. Names and defaults are those of OpenHands'
    /// `KubernetesConfig`, except `kubeconfig` and `context`, which it lacks.
    pub struct KubernetesConfig in Section::Kubernetes;

    /// Path of a kubeconfig file. When it is not set, the client looks where kubectl does: the files that
    /// `KUBECONFIG` lists, `~/.kube/config`, then the service account of the pod it runs in.
    kubeconfig: Option<PathBuf> = None, OPTIONAL_PATH;

    /// Context of the kubeconfig to use instead of its current one.
    context: Option<String> = None, OPTIONAL_TEXT;

    /// Namespace of every object that is created.
    namespace: String = "default".to_owned(), TEXT;

    /// Base domain of ingress hosts: a session is served at `{session id}.{ingress_domain}`.
    ingress_domain: String = "localhost".to_owned(), TEXT;

    /// Size of the claim that holds a workspace.
    pvc_storage_size: String = "2Gi".to_owned(), QUANTITY;

    /// Storage class of that claim. When it is not set, the cluster's default class is used.
    pvc_storage_class: Option<String> = None, OPTIONAL_TEXT;

    /// CPU that the scheduler reserves for a pod: `1`, `500m`.
    resource_cpu_request: String = "1".to_owned(), QUANTITY;

    /// Memory that the scheduler reserves for a pod.
    resource_memory_request: String = "1Gi".to_owned(), QUANTITY;

    /// Memory above which the kernel kills the container (OOM).
    resource_memory_limit: String = "2Gi".to_owned(), QUANTITY;

    /// Name of the Secret with the credentials of a private registry, in the same namespace.
    image_pull_secret: Option<String> = None, OPTIONAL_TEXT;

    /// Name of the Secret with the TLS certificate of the ingress hosts.
    ingress_tls_secret: Option<String> = None, OPTIONAL_TEXT;

    /// Label key that a node must have to take a pod. Only together with `node_selector_val`.
    node_selector_key: Option<String> = None, OPTIONAL_TEXT;

    /// Value of the label `node_selector_key`.
    node_selector_val: Option<String> = None, OPTIONAL_TEXT;

    /// Tolerations of the pods: a YAML list with the fields of a Kubernetes toleration, in snake case or camel
    /// case (`toleration_seconds` or `tolerationSeconds`).
    tolerations_yaml: Vec<Toleration> = Vec::new(), TOLERATIONS;

    /// Run the container privileged, as Docker in Docker needs. It gives the sandbox the node: root in such a
    /// container is root on the node.
    privileged: bool = false, SWITCH;
}
