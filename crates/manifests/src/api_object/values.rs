//! Values that are of the right type and that the API server's validation refuses all the same
//! (`pkg/apis/core/validation`), for the pieces that people write.

use k8s_openapi::api::core::v1::{
    Affinity, HostAlias, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodAffinityTerm,
    TopologySpreadConstraint, Volume, VolumeMount, WeightedPodAffinityTerm,
};
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyPeer};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ApiObjectError;
use crate::cidr::Cidr;
use crate::dns::{DnsLabel, is_subdomain};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// A piece of the API whose values are judged.
pub(crate) trait ApiPiece: DeserializeOwned {
    /// What the API server would refuse, each with its path inside the piece.
    fn refused(&self) -> Vec<ApiObjectError>;
}

/// What the API server would refuse of a whole pod, apart from its containers' own fields.
pub(crate) fn refused_in_pod(pod: &Pod) -> Vec<ApiObjectError> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        found.extend(below(&format!("spec.volumes[{index}]"), volume.refused()));
    }
    let init_containers = spec.init_containers.iter().flatten();
    let containers = spec.containers.iter().map(|container| ("containers", container));
    for (list, container) in init_containers
        .map(|container| ("initContainers", container))
        .chain(containers)
    {
        for mount in container.volume_mounts.iter().flatten() {
            let path = format!("spec.{list}[{}].volumeMounts[{}]", container.name, mount.name);
            found.extend(below(&path, mount.refused()));
        }
    }
    if let Some(affinity) = &spec.affinity {
        found.extend(below("spec.affinity", affinity.refused()));
    }
    for (index, constraint) in spec.topology_spread_constraints.iter().flatten().enumerate() {
        let path = format!("spec.topologySpreadConstraints[{index}]");
        found.extend(below(&path, constraint.refused()));
    }
    found
}

impl ApiPiece for Volume {
    fn refused(&self) -> Vec<ApiObjectError> {
        let mut found = Vec::new();
        if let Err(error) = self.name.parse::<DnsLabel>() {
            found.push(refusal("name", error.to_string()));
        }
        // The type has a field for each source; the API takes one of them.
        if let Ok(Value::Object(fields)) = serde_json::to_value(self) {
            let mut sources = fields.keys().filter(|field| *field != "name");
            if let (Some(first), Some(second)) = (sources.next(), sources.next()) {
                found.push(refusal(
                    second,
                    format!("the volume has the source {first} already, and may have one"),
                ));
            }
        }
        found
    }
}

impl ApiPiece for VolumeMount {
    fn refused(&self) -> Vec<ApiObjectError> {
        let mut found = Vec::new();
        if self.mount_path.is_empty() {
            found.push(refusal("mountPath", "a mount needs a path"));
        }
        for (field, path) in [("subPath", &self.sub_path), ("subPathExpr", &self.sub_path_expr)] {
            let leaves = |path: &String| path.starts_with('/') || path.split('/').any(|part| part == "..");
            if path.as_ref().is_some_and(leaves) {
                found.push(refusal(field, "it must be a relative path without \"..\""));
            }
        }
        let is_set = |path: &Option<String>| path.as_ref().is_some_and(|path| !path.is_empty());
        if is_set(&self.sub_path) && is_set(&self.sub_path_expr) {
            found.push(refusal(
                "subPathExpr",
                "the mount has a subPath already, and may have one of them",
            ));
        }
        found
    }
}

impl ApiPiece for Affinity {
    fn refused(&self) -> Vec<ApiObjectError> {
        let mut found = Vec::new();
        if let Some(affinity) = &self.node_affinity {
            if let Some(selector) = &affinity.required_during_scheduling_ignored_during_execution {
                let path = format!("nodeAffinity.{REQUIRED}.nodeSelectorTerms");
                if selector.node_selector_terms.is_empty() {
                    found.push(refusal(&path, "it must have at least one term"));
                }
                for (index, term) in selector.node_selector_terms.iter().enumerate() {
                    found.extend(required_term(&format!("{path}[{index}]"), term));
                }
            }
            let preferred = &affinity.preferred_during_scheduling_ignored_during_execution;
            for (index, preferred) in preferred.iter().flatten().enumerate() {
                let path = format!("nodeAffinity.{PREFERRED}[{index}]");
                found.extend(weight(&path, preferred.weight));
                found.extend(requirements(&format!("{path}.preference"), &preferred.preference));
            }
        }
        if let Some(affinity) = &self.pod_affinity {
            let required = affinity
                .required_during_scheduling_ignored_during_execution
                .as_deref();
            let preferred = affinity
                .preferred_during_scheduling_ignored_during_execution
                .as_deref();
            found.extend(terms_of_pods("podAffinity", required, preferred));
        }
        if let Some(affinity) = &self.pod_anti_affinity {
            let required = affinity
                .required_during_scheduling_ignored_during_execution
                .as_deref();
            let preferred = affinity
                .preferred_during_scheduling_ignored_during_execution
                .as_deref();
            found.extend(terms_of_pods("podAntiAffinity", required, preferred));
        }
        found
    }
}

impl ApiPiece for NetworkPolicyPeer {
    fn refused(&self) -> Vec<ApiObjectError> {
        let selectors = [
            ("podSelector", &self.pod_selector),
            ("namespaceSelector", &self.namespace_selector),
        ];
        let named = selectors.iter().any(|(_, selector)| selector.is_some());
        let mut found = match (&self.ip_block, named) {
            (None, false) => vec![refusal(
                "podSelector",
                "one of podSelector, namespaceSelector and ipBlock says who is meant",
            )],
            (Some(_), true) => vec![refusal("ipBlock", "it can't stand beside a selector")],
            (Some(block), false) => of_block(block),
            (None, true) => Vec::new(),
        };
        for (field, selector) in selectors {
            let expressions = selector.iter().flat_map(|selector| &selector.match_expressions);
            for (index, expression) in expressions.flatten().enumerate() {
                let has_values = expression
                    .values
                    .as_ref()
                    .is_some_and(|values| !values.is_empty());
                let wants_values = ["In", "NotIn"].contains(&expression.operator.as_str());
                if has_values != wants_values {
                    let path = format!("{field}.matchExpressions[{index}].values");
                    let reason = if wants_values {
                        "the operator compares with at least one value"
                    } else {
                        "the operator takes no values"
                    };
                    found.push(refusal(&path, reason));
                }
            }
        }
        found
    }
}

fn of_block(block: &IPBlock) -> Vec<ApiObjectError> {
    let range = match block.cidr.parse::<Cidr>() {
        Ok(range) => range,
        Err(error) => return vec![refusal("ipBlock.cidr", error.to_string())],
    };
    let except = block.except.iter().flatten().enumerate();
    except
        .filter_map(|(index, text)| {
            let path = format!("ipBlock.except[{index}]");
            match text.parse::<Cidr>() {
                Ok(inside) if inside != range && range.contains(&inside) => None,
                Ok(_) => Some(refusal(&path, "it must lie inside ipBlock.cidr")),
                Err(error) => Some(refusal(&path, error.to_string())),
            }
        })
        .collect()
}

impl ApiPiece for TopologySpreadConstraint {
    fn refused(&self) -> Vec<ApiObjectError> {
        let mut found = Vec::new();
        if self.max_skew < 1 {
            found.push(refusal("maxSkew", "it must be 1 or more"));
        }
        found.extend(topology_key("topologyKey", &self.topology_key));
        if self.when_unsatisfiable.is_empty() {
            found.push(refusal(
                "whenUnsatisfiable",
                "it must be DoNotSchedule or ScheduleAnyway",
            ));
        }
        if let Some(domains) = self.min_domains {
            if domains < 1 {
                found.push(refusal("minDomains", "it must be 1 or more"));
            } else if self.when_unsatisfiable == "ScheduleAnyway" {
                found.push(refusal(
                    "minDomains",
                    "it goes with whenUnsatisfiable: DoNotSchedule alone",
                ));
            }
        }
        found
    }
}

impl ApiPiece for HostAlias {
    fn refused(&self) -> Vec<ApiObjectError> {
        let names = self.hostnames.iter().flatten().enumerate();
        names
            .filter(|(_, name)| !is_subdomain(name))
            .map(|(index, name)| {
                refusal(
                    &format!("hostnames[{index}]"),
                    format!("{name:?} is not a host name"),
                )
            })
            .collect()
    }
}

/// A term that a node must match. The API server takes an empty one, which matches no node at all.
fn required_term(path: &str, term: &NodeSelectorTerm) -> Vec<ApiObjectError> {
    let is_empty = |list: &Option<Vec<NodeSelectorRequirement>>| list.as_ref().is_none_or(Vec::is_empty);
    if is_empty(&term.match_expressions) && is_empty(&term.match_fields) {
        return vec![refusal(
            path,
            "an empty term matches no node: name matchExpressions or matchFields",
        )];
    }
    requirements(path, term)
}

fn requirements(path: &str, term: &NodeSelectorTerm) -> Vec<ApiObjectError> {
    let lists = [
        ("matchExpressions", &term.match_expressions),
        ("matchFields", &term.match_fields),
    ];
    let mut found = Vec::new();
    for (field, list) in lists {
        for (index, requirement) in list.iter().flatten().enumerate() {
            let values = requirement.values.as_deref().unwrap_or_default();
            let reason = match (requirement.operator.as_str(), values) {
                ("In" | "NotIn", []) => "the operators In and NotIn need values",
                ("Exists" | "DoesNotExist", [_, ..]) => {
                    "the operators Exists and DoesNotExist take no values"
                }
                ("Gt" | "Lt", [value]) if value.parse::<i64>().is_ok() => continue,
                ("Gt" | "Lt", _) => "the operators Gt and Lt need one whole number",
                _ => continue,
            };
            found.push(refusal(&format!("{path}.{field}[{index}].values"), reason));
        }
    }
    found
}

fn terms_of_pods(
    kind: &str,
    required: Option<&[PodAffinityTerm]>,
    preferred: Option<&[WeightedPodAffinityTerm]>,
) -> Vec<ApiObjectError> {
    let mut found = Vec::new();
    for (index, term) in required.unwrap_or_default().iter().enumerate() {
        let path = format!("{kind}.{REQUIRED}[{index}].topologyKey");
        found.extend(topology_key(&path, &term.topology_key));
    }
    for (index, preferred) in preferred.unwrap_or_default().iter().enumerate() {
        let path = format!("{kind}.{PREFERRED}[{index}]");
        found.extend(weight(&path, preferred.weight));
        let key = &preferred.pod_affinity_term.topology_key;
        found.extend(topology_key(&format!("{path}.podAffinityTerm.topologyKey"), key));
    }
    found
}

fn weight(path: &str, weight: i32) -> Option<ApiObjectError> {
    (!(1..=100).contains(&weight)).then(|| refusal(&format!("{path}.weight"), "it must be from 1 to 100"))
}

fn topology_key(path: &str, key: &str) -> Option<ApiObjectError> {
    key.is_empty()
        .then(|| refusal(path, "it must be the key of a label of nodes"))
}

fn refusal(path: &str, reason: impl Into<String>) -> ApiObjectError {
    ApiObjectError::Type {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

/// The same problems, of a piece that stands at `path`.
fn below(path: &str, found: Vec<ApiObjectError>) -> impl Iterator<Item = ApiObjectError> {
    found.into_iter().map(move |error| match error {
        ApiObjectError::Type { path: inner, reason } => ApiObjectError::Type {
            path: format!("{path}.{inner}"),
            reason,
        },
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api_object::read;

    fn refused<T: ApiPiece>(value: &Value) -> String {
        match read::<T>(value) {
            Ok(_) => String::new(),
            Err(errors) => errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
        }
    }

    #[test]
    fn a_volume_has_a_dns_label_and_one_source() {
        let volume = |value| refused::<Volume>(&value);
        assert_eq!(volume(json!({ "name": "data", "emptyDir": {} })), "");
        assert_eq!(volume(json!({ "name": "data" })), "");
        assert!(
            volume(json!({ "name": "My_data" }))
                .starts_with("name can't be used: \"My_data\" is not a DNS label")
        );
        assert_eq!(
            volume(json!({ "name": "data", "emptyDir": {}, "secret": { "secretName": "a" } })),
            "secret can't be used: the volume has the source emptyDir already, and may have one"
        );
    }

    #[test]
    fn a_mount_stays_inside_its_volume() {
        let mount =
            |path: &str| refused::<VolumeMount>(&json!({ "name": "a", "mountPath": "/a", "subPath": path }));
        for path in ["x", "x/y..z", "..x", ""] {
            assert_eq!(mount(path), "", "{path}");
        }
        for path in ["../x", "x/..", "/x", ".."] {
            assert_eq!(
                mount(path),
                "subPath can't be used: it must be a relative path without \"..\"",
                "{path}"
            );
        }
        let both = json!({ "name": "a", "mountPath": "", "subPath": "a", "subPathExpr": "$(B)" });
        assert_eq!(
            refused::<VolumeMount>(&both),
            "mountPath can't be used: a mount needs a path; subPathExpr can't be used: the mount has a subPath already, \
             and may have one of them"
        );
    }

    #[test]
    fn required_terms_of_nodes_match_some_node() {
        let terms = |terms: Value| {
            refused::<Affinity>(&json!({ "nodeAffinity": { REQUIRED: { "nodeSelectorTerms": terms } } }))
        };
        let requirement = |operator: &str, values: Value| {
            terms(json!([{ "matchExpressions": [{ "key": "a", "operator": operator, "values": values }] }]))
        };
        assert!(
            terms(json!([])).ends_with("nodeSelectorTerms can't be used: it must have at least one term")
        );
        assert!(
            terms(json!([{}])).contains("nodeSelectorTerms[0] can't be used: an empty term matches no node")
        );
        assert!(terms(json!([{ "matchExpressions": [] }])).contains("an empty term"));
        for (operator, values) in [("In", json!(["b"])), ("Exists", json!([])), ("Gt", json!(["3"]))] {
            assert_eq!(requirement(operator, values), "", "{operator}");
        }
        for (operator, values) in [
            ("NotIn", json!([])),
            ("DoesNotExist", json!(["b"])),
            ("Lt", json!(["b"])),
            ("Gt", json!(["1", "2"])),
        ] {
            let said = requirement(operator, values);
            assert!(
                said.contains("matchExpressions[0].values can't be used: the operators"),
                "{said}"
            );
        }
    }

    #[test]
    fn weights_topology_keys_and_skews_are_in_their_bounds() {
        let affinity = json!({
            "nodeAffinity": { PREFERRED: [{ "weight": 101, "preference": {} }] },
            "podAntiAffinity": {
                PREFERRED: [{ "weight": 0, "podAffinityTerm": { "topologyKey": "zone" } }],
                REQUIRED: [{ "topologyKey": "" }],
            },
        });
        assert_eq!(refused::<Affinity>(&affinity).matches("can't be used").count(), 3);
        let constraint = json!({ "maxSkew": 0, "topologyKey": "" });
        assert_eq!(
            refused::<TopologySpreadConstraint>(&constraint)
                .matches("can't be used")
                .count(),
            3
        );
        let alias = json!({ "ip": "10.0.0.1", "hostnames": ["git.example", "a_b"] });
        assert_eq!(
            refused::<HostAlias>(&alias),
            "hostnames[1] can't be used: \"a_b\" is not a host name"
        );
    }
}
