//! What a request asks that a session which is already there has otherwise.

use std::fmt;

use crate::{ImageRef, Quantity, RunAs, SessionRequest, SessionSpec};

/// One thing that was asked explicitly and that the existing session has otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The flag that asks it, such as `--image`.
    pub setting: &'static str,
    /// What was asked.
    pub asked: String,
    /// What the session has, or `None` where it has nothing of the kind.
    pub existing: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            asked,
            existing,
        } = self;
        match existing {
            Some(existing) => write!(f, "{setting} {asked} (the session has {existing})"),
            None => write!(f, "{setting} {asked} (the session has none)"),
        }
    }
}

impl SessionRequest {
    /// What this request asks explicitly and `spec` has otherwise, for the warning when a client attaches.
    ///
    /// Amounts are compared by value and users by number. The environment is compared by name: the record
    /// holds no values.
    pub fn differences(&self, spec: &SessionSpec) -> Vec<Difference> {
        let Self {
            image,
            user,
            profile,
            env,
            workdir,
            cpu,
            memory,
            persistent,
            labels,
            server,
        } = self;
        let mut found = Vec::new();
        let mut compare = |setting, asked: String, existing: Option<String>, same: bool| {
            if !same {
                found.push(Difference {
                    setting,
                    asked,
                    existing,
                });
            }
        };
        if let Some(image) = image {
            let same = image.parse::<ImageRef>().is_ok_and(|image| image == spec.image);
            compare("--image", image.clone(), Some(spec.image.to_string()), same);
        }
        if let Some(user) = user {
            let same = user.parse::<RunAs>().is_ok_and(|user| Some(user) == spec.run_as);
            compare(
                "--user",
                user.clone(),
                spec.run_as.map(|user| user.to_string()),
                same,
            );
        }
        if let Some(profile) = profile {
            compare(
                "--profile",
                profile.to_string(),
                Some(spec.profile.to_string()),
                *profile == spec.profile,
            );
        }
        for name in env.keys() {
            let same = spec.env.iter().any(|existing| existing.as_str() == name);
            compare("--env", name.clone(), None, same);
        }
        if let Some(workdir) = workdir {
            let existing = spec.workdir.as_ref().map(ToString::to_string);
            let same = workdir
                .parse()
                .is_ok_and(|workdir| Some(&workdir) == spec.workdir.as_ref());
            compare("--workdir", workdir.clone(), existing, same);
        }
        for (setting, asked, bounds) in [("--cpu", cpu, &spec.cpu), ("--memory", memory, &spec.memory)] {
            let Some(asked) = asked else { continue };
            // The flag sets request and limit, so both must be what was asked.
            let same = asked.parse::<Quantity>().is_ok_and(|asked| {
                asked == bounds.request && bounds.limit.as_ref().is_some_and(|limit| asked == *limit)
            });
            compare(setting, asked.clone(), Some(bounds.to_string()), same);
        }
        if let Some(persistent) = persistent {
            let existing = spec.claim.is_some();
            compare(
                "--persistent",
                persistent.to_string(),
                Some(existing.to_string()),
                *persistent == existing,
            );
        }
        for (key, value) in labels {
            let existing = spec.labels.get(key);
            let shown = existing.map(|existing| format!("{key}={existing}"));
            compare(
                "--label",
                format!("{key}={value}"),
                shown,
                existing == Some(value),
            );
        }
        if *server {
            compare(
                "--server",
                "true".into(),
                Some(spec.server.to_string()),
                spec.server,
            );
        }
        found
    }
}
