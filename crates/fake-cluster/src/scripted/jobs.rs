//! The Job controller (`pkg/controller/job`): pods until enough have succeeded or too many failed, suspension,
//! deadlines, removal after a time. Indexed Jobs and pod failure policies are not simulated.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use podbay_k8s_client::{Kind, Object, ObjectKey};

use super::clock::timestamp;
use super::engine::{Due, Engine};
use super::events::Said;
use super::plan::back_off;
use super::status::{holds, is_finished, phase};
use crate::store::{Deletion, drop_finalizer};

/// Keeps a Job's pod until the Job has counted it.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// What the controller remembers of a Job.
#[derive(Debug, Default)]
pub(super) struct JobMemory {
    /// Pods whose end was counted.
    counted: HashSet<String>,
    /// Pods it deleted itself, which count for nothing.
    pardoned: HashSet<String>,
    succeeded: i32,
    failed: i32,
    /// No pod is made before this.
    not_before: Duration,
    started: Option<Duration>,
}

/// How a Job ended.
struct Verdict {
    type_: &'static str,
    /// The condition that announces it (KEP-3939): its pods may still run.
    herald: &'static str,
    reason: &'static str,
    message: &'static str,
}

const COMPLETE: Verdict = Verdict {
    type_: "Complete",
    herald: "SuccessCriteriaMet",
    reason: "CompletionsReached",
    message: "Reached expected number of succeeded pods",
};
const TOO_MANY_FAILURES: Verdict = Verdict {
    type_: "Failed",
    herald: "FailureTarget",
    reason: "BackoffLimitExceeded",
    message: "Job has reached the specified backoff limit",
};
const TOO_LONG: Verdict = Verdict {
    type_: "Failed",
    herald: "FailureTarget",
    reason: "DeadlineExceeded",
    message: "Job was active longer than specified deadline",
};

/// How many pods of a Job are in which state.
#[derive(Debug)]
struct Counts {
    active: i32,
    ready: i32,
    terminating: i32,
    succeeded: i32,
    failed: i32,
}

impl Counts {
    /// Into a Job's status, which leaves some out where they are zero.
    fn write(&self, status: &mut JobStatus) {
        let Self {
            active,
            ready,
            terminating,
            succeeded,
            failed,
        } = *self;
        status.active = (active > 0).then_some(active);
        status.succeeded = (succeeded > 0).then_some(succeeded);
        status.failed = (failed > 0).then_some(failed);
        status.ready = Some(ready);
        status.terminating = Some(terminating);
    }
}

impl Engine {
    pub(super) fn job_changed(&mut self, before: Option<&Object>, after: Option<&Object>) {
        match (before, after) {
            (before, Some(after)) => {
                let generation = |object: &Object| object.metadata().generation;
                if before.is_none_or(|before| generation(before) != generation(after)) {
                    let uid = after.uid().to_owned();
                    self.later(self.settings.controllers, Due::Job { uid });
                }
            }
            (Some(before), None) => {
                self.jobs.remove(before.uid());
                self.events.depart(before.uid());
            }
            (None, None) => {}
        }
    }

    /// Has the controller look at the Job a pod is of, if it is of one.
    pub(super) fn job_of(&mut self, pod: &Pod) {
        let owners = pod.metadata.owner_references.iter().flatten();
        let job = owners
            .filter(|owner| owner.kind == "Job" && owner.controller == Some(true))
            .map(|owner| owner.uid.clone())
            .next();
        if let Some(uid) = job {
            self.later(self.settings.controllers, Due::Job { uid });
        }
    }

    /// Looks at a Job and does what is to be done next.
    pub(super) fn sync_job(&mut self, uid: &str) {
        let pods = self.pods_of(uid);
        let job = match self.store.find(uid).map(|object| &***object) {
            Some(Object::Job(job)) => job.clone(),
            _ => return self.let_go(&pods, |pod| pod.metadata.deletion_timestamp.is_some()),
        };
        let key = Object::from(job.clone()).key();
        let Some(spec) = job.spec.clone() else { return };
        if job.metadata.deletion_timestamp.is_some() {
            return;
        }
        self.tally(uid, &pods);
        let lost = |pod: &Pod| pod.metadata.deletion_grace_period_seconds == Some(0);
        self.let_go(&pods, |pod| is_finished(pod) || lost(pod));
        if let Some(ended) = ended_at(&job) {
            return self.expire(&key, uid, &spec, ended);
        }
        let pods = self.pods_of(uid);
        let active: Vec<Pod> = pods
            .into_iter()
            .filter(|pod| !is_finished(pod) && pod.metadata.deletion_timestamp.is_none())
            .collect();
        if spec.suspend == Some(true) {
            self.suspend(&key, uid, &job, &active);
            return;
        }
        self.resume(&key, uid, &job, &spec);
        let Some(memory) = self.jobs.get(uid) else { return };
        let (succeeded, failed) = (memory.succeeded, memory.failed);
        let started = memory.started.unwrap_or(self.now);
        let deadline = spec
            .active_deadline_seconds
            .map(|seconds| started + seconds_of(seconds));
        let completions = spec.completions.unwrap_or(1);
        let verdict = if deadline.is_some_and(|deadline| self.now >= deadline) {
            Some(&TOO_LONG)
        } else if failed > spec.backoff_limit.unwrap_or(6) {
            Some(&TOO_MANY_FAILURES)
        } else if succeeded >= completions {
            Some(&COMPLETE)
        } else {
            None
        };
        if let Some(verdict) = verdict {
            self.pardon(uid, &active);
            self.conclude(&key, uid, verdict);
            return;
        }
        let active_count = i32::try_from(active.len()).unwrap_or(i32::MAX);
        let wanted = spec.parallelism.unwrap_or(1).min(completions - succeeded) - active_count;
        self.make_pods(&key, uid, &spec, wanted);
        self.write_counts(&key, uid);
    }

    fn pods_of(&self, uid: &str) -> Vec<Pod> {
        let dependents = self.store.dependents(uid).map(|object| &***object);
        let pods = dependents.filter_map(|object| match object {
            Object::Pod(pod) => Some(Pod::clone(pod)),
            _ => None,
        });
        pods.collect()
    }

    /// Counts the ends that are new.
    fn tally(&mut self, uid: &str, pods: &[Pod]) {
        let memory = self.jobs.entry(uid.to_owned()).or_default();
        let mut failed = false;
        for pod in pods {
            let pod_uid = pod.metadata.uid.clone().unwrap_or_default();
            // One that somebody deletes counts as failed (`podReplacementPolicy: TerminatingOrFailed`).
            let ends = is_finished(pod) || pod.metadata.deletion_timestamp.is_some();
            if !ends || memory.pardoned.contains(&pod_uid) || !memory.counted.insert(pod_uid) {
                continue;
            }
            if phase(pod) == "Succeeded" {
                memory.succeeded += 1;
            } else {
                memory.failed += 1;
                failed = true;
            }
        }
        if failed {
            let tries = u32::try_from(memory.failed - 1).unwrap_or_default();
            memory.not_before = self.now + back_off(tries);
        }
    }

    /// Lets pods go that were counted.
    fn let_go(&mut self, pods: &[Pod], which: impl Fn(&Pod) -> bool) {
        for pod in pods.iter().filter(|pod| which(pod)) {
            let key = super::pods::pod_key(pod);
            self.store.modify_pod(&key, |pod| {
                drop_finalizer(&mut pod.metadata, TRACKING);
            });
        }
    }

    /// Deletes pods that are no longer wanted.
    fn pardon(&mut self, uid: &str, pods: &[Pod]) {
        for pod in pods {
            let pod_uid = pod.metadata.uid.clone().unwrap_or_default();
            if let Some(memory) = self.jobs.get_mut(uid) {
                memory.pardoned.insert(pod_uid.clone());
            }
            let key = super::pods::pod_key(pod);
            let deletion = Deletion {
                uid: Some(pod_uid),
                grace_seconds: None,
                ..Deletion::default()
            };
            if self.delete(&key, &deletion).is_ok() {
                self.say_job(
                    uid,
                    false,
                    "SuccessfulDelete",
                    &format!("Deleted pod: {}", key.name),
                );
            }
        }
    }

    fn suspend(&mut self, key: &ObjectKey, uid: &str, job: &Job, active: &[Pod]) {
        self.pardon(uid, active);
        if let Some(memory) = self.jobs.get_mut(uid) {
            memory.started = None;
        }
        if !has_condition(job, "Suspended", "True") {
            self.say_job(uid, false, "Suspended", "Job suspended");
        }
        let now = self.time();
        self.modify_job(key, |job| {
            set_condition(job, "Suspended", true, "JobSuspended", "Job suspended", now);
            job.status.get_or_insert_default().start_time = None;
        });
        self.write_counts(key, uid);
    }

    fn resume(&mut self, key: &ObjectKey, uid: &str, job: &Job, spec: &JobSpec) {
        let (at, now) = (self.now, self.time());
        let memory = self.jobs.entry(uid.to_owned()).or_default();
        let first = memory.started.is_none();
        memory.started.get_or_insert(at);
        if first && let Some(seconds) = spec.active_deadline_seconds {
            let uid = uid.to_owned();
            self.later(seconds_of(seconds), Due::Job { uid });
        }
        let resumed = has_condition(job, "Suspended", "True");
        if resumed {
            self.say_job(uid, false, "Resumed", "Job resumed");
        }
        self.modify_job(key, |job| {
            if resumed {
                set_condition(job, "Suspended", false, "JobResumed", "Job resumed", now);
            }
            let status = job.status.get_or_insert_default();
            status.start_time.get_or_insert(Time(now));
        });
    }

    fn make_pods(&mut self, key: &ObjectKey, uid: &str, spec: &JobSpec, wanted: i32) {
        let not_before = self
            .jobs
            .get(uid)
            .map(|memory| memory.not_before)
            .unwrap_or_default();
        if wanted > 0 && self.now < not_before {
            self.later(
                not_before.saturating_sub(self.now),
                Due::Job { uid: uid.to_owned() },
            );
            return;
        }
        for _ in 0..wanted {
            let name = format!("{}-{}", key.name, self.suffix());
            match self.create(pod_of(key, uid, spec, &name).into()) {
                Ok(_) => self.say_job(uid, false, "SuccessfulCreate", &format!("Created pod: {name}")),
                Err(denial) => {
                    self.say_job(uid, true, "FailedCreate", &format!("Error creating: {denial}"));
                    self.later(Duration::from_secs(1), Due::Job { uid: uid.to_owned() });
                    return;
                }
            }
        }
    }

    fn conclude(&mut self, key: &ObjectKey, uid: &str, verdict: &Verdict) {
        let now = self.time();
        let complete = verdict.type_ == "Complete";
        if complete {
            self.say_job(uid, false, "Completed", "Job completed");
        } else {
            self.say_job(uid, true, verdict.reason, verdict.message);
        }
        let counts = self.counts(uid);
        self.modify_job(key, |job| {
            for type_ in [verdict.herald, verdict.type_] {
                set_condition(job, type_, true, verdict.reason, verdict.message, now);
            }
            let status = job.status.get_or_insert_default();
            if complete {
                status.completion_time = Some(Time(now));
            }
            counts.write(status);
        });
        let ttl = self
            .job(key)
            .and_then(|job| job.spec.as_ref()?.ttl_seconds_after_finished);
        if let Some(seconds) = ttl {
            let uid = uid.to_owned();
            self.later(seconds_of(seconds.into()), Due::Job { uid });
        }
    }

    /// Removes a Job whose time after its end is over.
    fn expire(&mut self, key: &ObjectKey, uid: &str, spec: &JobSpec, ended: Timestamp) {
        self.write_counts(key, uid);
        let Some(seconds) = spec.ttl_seconds_after_finished else {
            return;
        };
        let over = ended.as_second().saturating_add(seconds.into());
        if timestamp(self.now).as_second() >= over {
            drop(self.delete(key, &Deletion::default()));
        }
    }

    fn write_counts(&mut self, key: &ObjectKey, uid: &str) {
        let counts = self.counts(uid);
        self.modify_job(key, |job| counts.write(job.status.get_or_insert_default()));
    }

    /// A Job's pods, counted.
    fn counts(&self, uid: &str) -> Counts {
        let pods = self.pods_of(uid);
        let count = |which: &dyn Fn(&Pod) -> bool| {
            let count = pods.iter().filter(|pod| which(pod)).count();
            i32::try_from(count).unwrap_or(i32::MAX)
        };
        let deleted = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
        let memory = self.jobs.get(uid);
        Counts {
            active: count(&|pod| !is_finished(pod) && !deleted(pod)),
            ready: count(&|pod| !is_finished(pod) && !deleted(pod) && holds(pod, "Ready")),
            terminating: count(&|pod| !is_finished(pod) && deleted(pod)),
            succeeded: memory.map(|memory| memory.succeeded).unwrap_or_default(),
            failed: memory.map(|memory| memory.failed).unwrap_or_default(),
        }
    }

    fn job(&self, key: &ObjectKey) -> Option<&Job> {
        match &***self.store.get(key)? {
            Object::Job(job) => Some(job),
            _ => None,
        }
    }

    fn modify_job(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Job)) {
        self.store.modify(key, |object| {
            if let Object::Job(job) = object {
                change(job);
            }
        });
    }

    fn say_job(&mut self, uid: &str, warning: bool, reason: &str, message: &str) {
        let said = Said {
            component: "job-controller",
            warning,
            reason,
            message,
        };
        self.say(uid, said);
    }
}

fn pod_of(job: &ObjectKey, uid: &str, spec: &JobSpec, name: &str) -> Pod {
    let template = spec.template.metadata.clone().unwrap_or_default();
    let owner = OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: Kind::Job.name().to_owned(),
        name: job.name.clone(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    let mut finalizers = template.finalizers.unwrap_or_default();
    finalizers.push(TRACKING.to_owned());
    Pod {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            generate_name: Some(format!("{}-", job.name)),
            namespace: Some(job.namespace.clone()),
            labels: template.labels,
            annotations: template.annotations,
            finalizers: Some(finalizers),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: spec.template.spec.clone(),
        status: None,
    }
}

fn set_condition(job: &mut Job, type_: &str, holds: bool, reason: &str, message: &str, now: Timestamp) {
    let status = if holds { "True" } else { "False" };
    if has_condition(job, type_, status) {
        return;
    }
    let conditions = job
        .status
        .get_or_insert_default()
        .conditions
        .get_or_insert_default();
    conditions.retain(|condition| condition.type_ != type_);
    conditions.push(JobCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    });
}

fn has_condition(job: &Job, type_: &str, status: &str) -> bool {
    let conditions = job
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let mut matching = conditions.filter(|condition| condition.type_ == type_ && condition.status == status);
    matching.next().is_some()
}

fn ended_at(job: &Job) -> Option<Timestamp> {
    let mut conditions = job.status.as_ref()?.conditions.iter().flatten();
    let end = conditions.find(|condition| {
        matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True"
    })?;
    end.last_transition_time.as_ref().map(|time| time.0)
}

fn seconds_of(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
