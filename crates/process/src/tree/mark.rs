//! By what a tree's processes are known.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Pid;

/// The variable each process of a tree has in its environment: `<id of the tree>/<number>`.
pub const VARIABLE: &str = "PODBAY_EMBEDDED_PROCESS";

/// What marks the processes of one tree, or of one command in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    value: String,
    /// Whether `value` is a tree's, and so the beginning of many.
    prefix: bool,
}

impl Mark {
    /// The mark of all processes of a tree.
    pub(crate) fn of_tree(id: &str) -> Self {
        Self {
            value: format!("{id}/"),
            prefix: true,
        }
    }

    /// The mark of one command of this tree, and of what it starts.
    pub(crate) fn of_process(&self, number: u64) -> Self {
        Self {
            value: format!("{}{number}", self.value),
            prefix: false,
        }
    }

    /// The variable's value.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// Whether an environment, as `/proc/PID/environ` shows it (entries ended by NUL), carries the mark.
    #[cfg(any(target_os = "linux", test))]
    pub(crate) fn is_on(&self, environment: &[u8]) -> bool {
        environment.split(|byte| *byte == 0).any(|entry| {
            let value = entry
                .strip_prefix(VARIABLE.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="));
            value.is_some_and(|value| {
                if self.prefix {
                    value.starts_with(self.value.as_bytes())
                } else {
                    value == self.value.as_bytes()
                }
            })
        })
    }
}

/// The commands of a tree that run, each the leader of its session, by process id. An id is in it from the start
/// of the process until it has been waited for, so that it is never another's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaders(Arc<Mutex<HashSet<Pid>>>);

impl Leaders {
    /// Notes a command that was started.
    pub(crate) fn add(&self, leader: Pid) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(leader);
    }

    /// Forgets a command that was waited for.
    pub(crate) fn remove(&self, leader: Pid) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&leader);
    }

    /// Those that run now.
    pub(crate) fn running(&self) -> HashSet<Pid> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_mark_is_no_other_commands() {
        let tree = Mark::of_tree("u");
        let environment = |value: &str| format!("A=1\0{VARIABLE}={value}\0B=2\0").into_bytes();
        for (mark, value, expected) in [
            (&tree, "u/1", true),
            (&tree, "u/12", true),
            (&tree, "u2/1", false),
            (&tree.of_process(1), "u/1", true),
            (&tree.of_process(1), "u/12", false),
        ] {
            assert_eq!(mark.is_on(&environment(value)), expected, "{mark:?} {value}");
        }
        assert!(!tree.is_on(format!("X{VARIABLE}=u/1\0").as_bytes()));
    }
}
