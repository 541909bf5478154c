//! The record as the owner of a session's other objects.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

/// A session's record as its API server knows it: garbage collection deletes what refers to it, once it is
/// gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Name of the record.
    pub name: String,
    /// The record's UID: another record of the same name is another owner.
    pub uid: String,
}

impl Owner {
    /// The owner that `record` is, or `None` while the API server hasn't given it a UID.
    pub fn of(record: &ConfigMap) -> Option<Self> {
        Some(Self {
            name: record.metadata.name.clone()?,
            uid: record.metadata.uid.clone()?,
        })
    }

    /// The entry for `metadata.ownerReferences`.
    ///
    /// `blockOwnerDeletion` stays unset: with it, clusters that enforce permissions on owner references
    /// (OpenShift) also ask for the right to set finalizers on the record.
    pub fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            block_owner_deletion: None,
            controller: None,
        }
    }

    /// Whether `references` name exactly this owner.
    pub fn owns(&self, references: &[OwnerReference]) -> bool {
        references.iter().any(|reference| reference.uid == self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_its_uid() {
        let mut record = ConfigMap::default();
        record.metadata.name = Some("openhands-runtime-demo".into());
        assert_eq!(Owner::of(&record), None);
        record.metadata.uid = Some("uid-1".into());
        let owner = Owner::of(&record).unwrap();
        assert!(owner.owns(&[owner.reference()]));
        let successor = Owner {
            uid: "uid-2".into(),
            ..owner.clone()
        };
        assert!(!successor.owns(&[owner.reference()]));
        assert!(!owner.owns(&[]));
    }
}
