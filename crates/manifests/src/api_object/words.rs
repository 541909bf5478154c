//! The words that fields of the Kubernetes API take, for those that people write. The API's types have them as texts, so
//! that a wrong one would be refused only when the pod is made.

/// Fields of a type with the words they take, from the API server's validation (`pkg/apis/core/validation`).
const WORDS: &[(&str, &str, &[&str])] = &[
    (
        "TopologySpreadConstraint",
        "whenUnsatisfiable",
        &["DoNotSchedule", "ScheduleAnyway"],
    ),
    (
        "TopologySpreadConstraint",
        "nodeAffinityPolicy",
        &["Honor", "Ignore"],
    ),
    (
        "TopologySpreadConstraint",
        "nodeTaintsPolicy",
        &["Honor", "Ignore"],
    ),
    (
        "NodeSelectorRequirement",
        "operator",
        &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"],
    ),
    (
        "LabelSelectorRequirement",
        "operator",
        &["In", "NotIn", "Exists", "DoesNotExist"],
    ),
    // Lt and Gt since 1.35 (KEP-5471).
    ("Toleration", "operator", &["", "Exists", "Equal", "Lt", "Gt"]),
    (
        "Toleration",
        "effect",
        &["", "NoSchedule", "PreferNoSchedule", "NoExecute"],
    ),
    (
        "HostPathVolumeSource",
        "type",
        &[
            "",
            "DirectoryOrCreate",
            "Directory",
            "FileOrCreate",
            "File",
            "Socket",
            "CharDevice",
            "BlockDevice",
        ],
    ),
    (
        "VolumeMount",
        "mountPropagation",
        &["None", "HostToContainer", "Bidirectional"],
    ),
    (
        "VolumeMount",
        "recursiveReadOnly",
        &["Disabled", "IfPossible", "Enabled"],
    ),
    (
        "Container",
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
    ),
    ("PodSpec", "restartPolicy", &["Always", "OnFailure", "Never"]),
    (
        "PodSpec",
        "dnsPolicy",
        &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
    ),
    ("PodSpec", "preemptionPolicy", &["Never", "PreemptLowerPriority"]),
];

/// The fields of the type `kind` that take words alone, with these.
pub(super) fn of(kind: &str) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    WORDS
        .iter()
        .filter(move |(of, _, _)| *of == kind)
        .map(|(_, field, words)| (*field, *words))
}
