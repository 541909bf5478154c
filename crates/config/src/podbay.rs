//! `[podbay]`: how long we wait for a cluster, and how hard we press it.

use crate::declaration::settings;
use crate::rule::{PER_SECOND, REQUESTS, SECONDS, SECONDS_OR_NONE};
use crate::setting::Section;

settings! {
    /// `[podbay]`: how long we wait for a cluster, and how hard we press it. A grace time is how long a bad
    /// sign may last before a starting session is given up.
    pub struct PodbayConfig in Section::Podbay;

    /// How long a session may take to become ready. Five minutes fit a pull of several gigabytes; whatever is
    /// known to be hopeless ends it sooner, by the grace times below.
    start_timeout_seconds: u64 = 300, SECONDS;

    /// How long a pod may be one that no node can ever take: selector, affinity, taint, or larger than any
    /// node. The scheduler tries again within a second or two of a change, so four seconds cover a node label
    /// that is just being set. Raise it on an autoscaled cluster, where the fitting node is yet to come.
    unschedulable_grace_seconds: u64 = 4, SECONDS_OR_NONE;

    /// How long a pod may wait where nodes fit it but are full. A minute lets a session that is being closed
    /// leave; raise it where sessions are expected to queue for space.
    capacity_grace_seconds: u64 = 60, SECONDS_OR_NONE;

    /// How long pull errors that may pass are borne: network, registry 5xx, rate limit. The kubelet's retries
    /// start 10 seconds apart and double, so twenty seconds see the first retry's answer. A missing image and
    /// denied access do not wait for it.
    image_pull_grace_seconds: u64 = 20, SECONDS_OR_NONE;

    /// How long CreateContainerConfigError is borne, as of a Secret or ConfigMap that is missing. The kubelet may
    /// see a pod before an object made beside it; three seconds cover that.
    config_error_grace_seconds: u64 = 3, SECONDS_OR_NONE;

    /// How long volumes may fail to mount or attach. A volume that moves to another node fails for several
    /// seconds while it is detached from the old one.
    volume_grace_seconds: u64 = 30, SECONDS_OR_NONE;

    /// How long a claim may stay pending. Common provisioners take 5 to 20 seconds to make a volume.
    claim_grace_seconds: u64 = 30, SECONDS_OR_NONE;

    /// How long a node may be unreachable before its pods count as lost. The cluster itself notices only after 40 to
    /// 50 seconds without word from it; ten more let one that restarts its kubelet come back.
    node_lost_grace_seconds: u64 = 10, SECONDS_OR_NONE;

    /// How long we wait for deleted objects to be gone. Garbage collection takes seconds, a claim waits for its
    /// pod's termination, and a busy cluster takes longer for both.
    deletion_timeout_seconds: u64 = 60, SECONDS;

    /// The pod's `terminationGracePeriodSeconds`: from TERM to KILL. Five seconds let a process save its work and
    /// keep `close` short; Kubernetes' own default is 30. 0 kills at once.
    termination_grace_seconds: u64 = 5, SECONDS_OR_NONE;

    /// How long one call of the Kubernetes API may take, watches and streams apart. Admission webhooks may
    /// take up to 30 seconds before the API server itself gives up on them.
    request_timeout_seconds: u64 = 30, SECONDS;

    /// How long to wait before a start that failed is tried anew (`kubernetes.start_retries`). Five seconds let a
    /// node that is going away be marked as such, so that the next try goes elsewhere.
    start_retry_delay_seconds: u64 = 5, SECONDS_OR_NONE;

    /// How long a session whose start failed stays, where it was opened to stay then: those of `podbay serve` are, and those
    /// that users of the library open so (`SessionBuilder::keep_failed`), who remove the older ones themselves
    /// (`Podbay::remove_expired`). Claims are kept. A day is long enough to look into it and to start it again.
    failed_session_ttl_seconds: u64 = 86_400, SECONDS;

    /// How many requests we send a second at most, over time: as much as controllers commonly take (kubectl has 50),
    /// so that a thousand sessions leave the API server to others.
    requests_per_second: u32 = 50, PER_SECOND;

    /// How many requests may go out at once before `requests_per_second` holds them back: two seconds' worth.
    request_burst: u32 = 100, REQUESTS;

    /// How often a running exec's connection is pinged. Load balancers cut idle connections, the strictest common
    /// ones after 60 seconds; fifteen leave room for lost pings.
    exec_ping_interval_seconds: u64 = 15, SECONDS;

    /// How long an exec's connection may be silent after a ping before it counts as lost: three intervals, so that
    /// one lost or late answer ends nothing. Must be more than `exec_ping_interval_seconds`.
    exec_ping_timeout_seconds: u64 = 45, SECONDS;
}
