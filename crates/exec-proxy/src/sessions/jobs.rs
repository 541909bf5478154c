//! Where the pods of Jobs are. They belong to their Job, which is not watched: the cluster is asked for it once for each pod.

use std::collections::HashMap;

use podbay_runtime::dial::SandboxAddress;

/// Addresses that are remembered, at most: beyond that they are asked for again.
const MOST: usize = 20_000;

/// Addresses of pods of Jobs, by the pods' uids.
#[derive(Debug, Default)]
pub(super) struct JobAddresses(HashMap<String, SandboxAddress>);

impl JobAddresses {
    /// That of a pod.
    pub(super) fn get(&self, pod_uid: &str) -> Option<SandboxAddress> {
        self.0.get(pod_uid).cloned()
    }

    /// Remembers one that can be reached.
    pub(super) fn keep(&mut self, address: SandboxAddress) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(address.uid().to_owned(), address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut addresses = JobAddresses::default();
        for number in 0..=MOST {
            addresses.keep(SandboxAddress::on_this_machine("s", &number.to_string()));
        }
        assert_eq!(addresses.0.len(), 1);
        assert!(addresses.get("0").is_none() && addresses.get(&MOST.to_string()).is_some());
    }
}
