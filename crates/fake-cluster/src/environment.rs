//! A container's environment, from its specification and the Secrets and ConfigMaps it names.
//!
//! Order and precedence are the kubelet's (`makeEnvironmentVariables`): `envFrom` first, then `env`; a later
//! definition wins; `$(NAME)` in a literal value stands for a variable defined before it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, Pod};
use podbay_k8s_client::{Kind, Object, ObjectKey};

/// A container's environment by name. Values are bytes, as a Secret's are. Holds secrets: no Debug.
pub(crate) type Environment = BTreeMap<String, Vec<u8>>;

/// Why an environment can't be made, in the kubelet's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvironmentError {
    /// The Secret or ConfigMap isn't there.
    #[error("{kind} {name:?} not found")]
    Missing {
        /// Which kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// It is there without the key.
    #[error("couldn't find key {key} in {} {namespace}/{name}", Kind::name(*kind))]
    MissingKey {
        /// Which kind.
        kind: Kind,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The missing key.
        key: String,
    },
    /// A `valueFrom` this kubelet does not know.
    #[error(
        "environment variable {0}: its valueFrom is none this cluster knows (secretKeyRef, configMapKeyRef, fieldRef of \
         metadata.name, metadata.namespace and metadata.uid)"
    )]
    Source(String),
}

/// Makes the environment of `container` in `pod`; `lookup` finds the objects of the cluster.
pub(crate) fn environment<'a>(
    pod: &Pod,
    container: &Container,
    lookup: &impl Fn(&ObjectKey) -> Option<&'a Object>,
) -> Result<Environment, EnvironmentError> {
    let references = References {
        namespace: pod.metadata.namespace.as_deref().unwrap_or_default(),
        lookup,
    };
    let mut environment = Environment::new();
    for source in container.env_from.as_deref().unwrap_or_default() {
        let (kind, name, optional) = match (&source.secret_ref, &source.config_map_ref) {
            (Some(secret), _) => (Kind::Secret, &secret.name, secret.optional),
            (None, Some(config)) => (Kind::ConfigMap, &config.name, config.optional),
            (None, None) => continue,
        };
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(data) = references.data(kind, name, optional == Some(true))? {
            environment.extend(
                data.into_iter()
                    .map(|(key, value)| (format!("{prefix}{key}"), value)),
            );
        }
    }
    for EnvVar {
        name,
        value,
        value_from,
    } in container.env.as_deref().unwrap_or_default()
    {
        let value = match value_from {
            None => Some(expand(value.as_deref().unwrap_or_default(), &environment)),
            Some(EnvVarSource {
                field_ref: Some(field),
                ..
            }) => Some(
                of_metadata(pod, &field.field_path).ok_or_else(|| EnvironmentError::Source(name.clone()))?,
            ),
            Some(source) => references.value(name, source)?,
        };
        if let Some(value) = value {
            environment.insert(name.clone(), value);
        }
    }
    Ok(environment)
}

/// A field of the pod's metadata that a variable may stand for.
fn of_metadata(pod: &Pod, path: &str) -> Option<Vec<u8>> {
    let metadata = &pod.metadata;
    let field = match path {
        "metadata.name" => &metadata.name,
        "metadata.namespace" => &metadata.namespace,
        "metadata.uid" => &metadata.uid,
        _ => return None,
    };
    Some(field.clone().unwrap_or_default().into_bytes())
}

/// The objects a container's environment may name.
struct References<'r, L> {
    namespace: &'r str,
    lookup: &'r L,
}

impl<'a, L: Fn(&ObjectKey) -> Option<&'a Object>> References<'_, L> {
    /// What `valueFrom` stands for; none if it is optional and missing.
    fn value(&self, variable: &str, source: &EnvVarSource) -> Result<Option<Vec<u8>>, EnvironmentError> {
        let (kind, name, key, optional) = match source {
            EnvVarSource {
                secret_key_ref: Some(secret),
                ..
            } => (Kind::Secret, &secret.name, &secret.key, secret.optional),
            EnvVarSource {
                config_map_key_ref: Some(config),
                ..
            } => (Kind::ConfigMap, &config.name, &config.key, config.optional),
            EnvVarSource { .. } => return Err(EnvironmentError::Source(variable.to_owned())),
        };
        let optional = optional == Some(true);
        let Some(mut data) = self.data(kind, name, optional)? else {
            return Ok(None);
        };
        match data.remove(key) {
            Some(value) => Ok(Some(value)),
            None if optional => Ok(None),
            None => Err(EnvironmentError::MissingKey {
                kind,
                namespace: self.namespace.to_owned(),
                name: name.clone(),
                key: key.clone(),
            }),
        }
    }

    /// The data of a Secret or ConfigMap; none if it is optional and missing.
    fn data(&self, kind: Kind, name: &str, optional: bool) -> Result<Option<Environment>, EnvironmentError> {
        match (self.lookup)(&ObjectKey::new(kind, self.namespace, name)) {
            Some(Object::Secret(secret)) => Ok(Some(
                secret
                    .data
                    .iter()
                    .flatten()
                    .map(|(k, v)| (k.clone(), v.0.clone()))
                    .collect(),
            )),
            Some(Object::ConfigMap(config)) => {
                let text = config
                    .data
                    .iter()
                    .flatten()
                    .map(|(k, v)| (k.clone(), v.clone().into_bytes()));
                Ok(Some(text.collect()))
            }
            _ if optional => Ok(None),
            _ => Err(EnvironmentError::Missing {
                kind,
                name: name.to_owned(),
            }),
        }
    }
}

/// Replaces `$(NAME)` by the variable's value and `$$` by `$`; a reference to nothing stays as it is
/// (`EnvVar.value` of the core API).
fn expand(value: &str, defined: &Environment) -> Vec<u8> {
    let mut expanded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.extend_from_slice(before.as_bytes());
        let reference = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        rest = if let Some(after) = after.strip_prefix('$') {
            expanded.push(b'$');
            after
        } else if let Some((value, after)) =
            reference.and_then(|(name, after)| Some((defined.get(name)?, after)))
        {
            expanded.extend_from_slice(value);
            after
        } else {
            expanded.push(b'$');
            after
        };
    }
    expanded.extend_from_slice(rest.as_bytes());
    expanded
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::{EnvFromSource, Secret, SecretEnvSource, SecretKeySelector};

    use super::*;

    fn from_secret(variable: &str, key: &str, optional: bool) -> EnvVar {
        let selector = SecretKeySelector {
            name: "s".to_owned(),
            key: key.to_owned(),
            optional: Some(optional),
        };
        let source = EnvVarSource {
            secret_key_ref: Some(selector),
            ..EnvVarSource::default()
        };
        EnvVar {
            name: variable.to_owned(),
            value: None,
            value_from: Some(source),
        }
    }

    fn literal(variable: &str, value: &str) -> EnvVar {
        EnvVar {
            name: variable.to_owned(),
            value: Some(value.to_owned()),
            value_from: None,
        }
    }

    fn resolve(container: &Container, secret: Option<&Object>) -> Result<Environment, EnvironmentError> {
        let mut pod = Pod::default();
        pod.metadata.namespace = Some("ns".to_owned());
        environment(&pod, container, &|key: &ObjectKey| {
            assert_eq!(*key, ObjectKey::new(Kind::Secret, "ns", "s"));
            secret
        })
    }

    fn secret() -> Object {
        let data = BTreeMap::from([("k".to_owned(), ByteString(vec![b'v', 0xff]))]);
        Secret {
            data: Some(data),
            ..Secret::default()
        }
        .into()
    }

    #[test]
    fn literals_and_secrets_resolve_in_the_kubelets_order() {
        let all = EnvFromSource {
            secret_ref: Some(SecretEnvSource {
                name: "s".to_owned(),
                optional: None,
            }),
            prefix: Some("P_".to_owned()),
            ..EnvFromSource::default()
        };
        let container = Container {
            env_from: Some(vec![all]),
            env: Some(vec![
                literal("A", "1"),
                from_secret("B", "k", false),
                literal("A", "$(A)2"),
                from_secret("C", "gone", true),
            ]),
            ..Container::default()
        };
        let expected = [
            ("A", b"12".to_vec()),
            ("B", vec![b'v', 0xff]),
            ("P_k", vec![b'v', 0xff]),
        ];
        let expected = expected
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        assert_eq!(resolve(&container, Some(&secret())), Ok(expected));
    }

    #[test]
    fn what_is_missing_is_named_as_the_kubelet_does() {
        let container = Container {
            env: Some(vec![from_secret("B", "gone", false)]),
            ..Container::default()
        };
        let message = |secret| resolve(&container, secret).unwrap_err().to_string();
        assert_eq!(message(None), r#"secret "s" not found"#);
        assert_eq!(message(Some(&secret())), "couldn't find key gone in Secret ns/s");
    }

    #[test]
    fn references_expand_as_in_the_api() {
        let defined = Environment::from([("A".to_owned(), b"x".to_vec())]);
        for (value, expected) in [
            ("$(A)", "x"),
            ("-$(A)$(A)-", "-xx-"),
            ("$$(A)", "$(A)"),
            ("$(B)", "$(B)"),
            ("$A $", "$A $"),
            ("$(A", "$(A"),
            ("$$$(A)", "$x"),
            ("$(B$(A)", "$(Bx"),
        ] {
            assert_eq!(
                String::from_utf8(expand(value, &defined)).unwrap(),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn a_field_of_the_metadata_is_its_value() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"containers": [{"name": "c", "env": [
                {"name": "UID_OF_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
            ]}]},
        }))
        .unwrap();
        let container = pod.spec.as_ref().unwrap().containers[0].clone();
        let made = environment(&pod, &container, &|_| None).unwrap();
        assert_eq!(made["UID_OF_POD"], b"u");
        let mut other = container;
        let variable = &mut other.env.as_mut().unwrap()[0];
        variable
            .value_from
            .as_mut()
            .unwrap()
            .field_ref
            .as_mut()
            .unwrap()
            .field_path = "status.podIP".into();
        assert!(matches!(
            environment(&pod, &other, &|_| None),
            Err(EnvironmentError::Source(_))
        ));
    }
}
