//! The cases, by what they are about.

#![expect(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod changes;
mod claims;
mod creation;
mod deletion;
mod exec;
mod garbage;
mod immutable;
mod jobs;
mod pods;
mod quota;
mod reading;
mod starts;
mod validation;
mod watches;

use super::Case;

/// The table of cases: `module::function`, each a name and what it does.
macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        /// All cases, by name.
        pub const CASES: &[(&str, Case)] = &[$($(
            (
                concat!(stringify!($module), "::", stringify!($case)),
                |stage| Box::pin($module::$case(stage)),
            ),
        )+)+];
    };
}

cases! {
    creation: existing_name, no_name, generated_name, with_version, server_fields, secret_text, service_address,
        network_objects;
    validation: names, labels, owner_references, config_map_data, config_map_size, secret_size, pod_containers,
        pod_resources, pod_volumes, job_templates, claim_requests, service_ports, hosts_and_blocks;
    reading: absent, labels_select, bad_selectors, list_version;
    changes: merge_patch, patch_preconditions, patch_absent, patch_identity, patch_status, stale_update,
        absent_update, unchanged, versions_grow, generations, finalizers_of_the_deleted;
    immutable: secrets, config_maps, pod_specs, job_templates, claims;
    deletion: absent, wrong_uid, wrong_version, twice, finalizers, name_of_the_terminating, pod_without_grace, pod_with_grace,
        shorter_grace, unscheduled_pod;
    watches: endless, replay, moved_by_labels, any_version, bookmarks, forgotten_version, future_version, last_state;
    garbage: cascade, late_dependent, one_owner_stays, owner_of_another_uid, job_pods;
    claims: bound, used_by_a_pod, unused;
    quota: pods, config_maps, memory, before_existing_names, race;
    starts: missing_image, no_such_node, too_large, missing_secret, missing_key, failing_init, absent_claim;
    pods: ready, fails, succeeds, out_of_memory, deadline, crash_loop;
    jobs: pod_of_a_job, failing, complete, suspended, removed_after_its_end, replaced_pod;
    exec: absent_pod, absent_container, pod_that_has_ended, output_and_code, logs;
}
