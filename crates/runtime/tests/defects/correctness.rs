//! Correctness and leaks: defects 1 to 11.

use std::time::Duration;

use podbay_config::Config;
use podbay_fake_cluster::{Call, Fault, On, Operation, Outcome, Script, ScriptedCluster, When};
use podbay_k8s_client::{DeleteOptions, ErrorKind, Kind, Object, ObjectKey};
use podbay_runtime::{Error, OpenMode};
use serde_json::json;

use crate::support::{IMAGE, NAMESPACE};
use crate::test_client::{TestClient, configured, full, kind_of, names, settle, takes_commands};

/// The writes that make a full session: record, claim, Secret, policy, pod, two Services, two Ingresses.
const WRITES: usize = 9;

/// How long the pods of these tests take to end, within their grace period of five seconds.
const ENDING: Duration = Duration::from_secs(3);

/// A client whose pods take their time to end.
fn slow_to_end() -> TestClient {
    let client = TestClient::new();
    client.cluster.script(Script::ready().terminate_for(ENDING));
    client
}

/// One `try` held all deletions: the first 404, of a claim already gone, skipped the pod, the Services and the Ingress.
#[tokio::test(start_paused = true)]
async fn defect_01_one_missing_object_does_not_keep_the_others_from_being_deleted() {
    let client = TestClient::new();
    client.full_session("s").open().await.unwrap();
    let keys: Vec<ObjectKey> = client.cluster.objects().iter().map(Object::key).collect();
    client.podbay.delete("s", true).await.unwrap();
    for kind in [
        Kind::PersistentVolumeClaim,
        Kind::Pod,
        Kind::Service,
        Kind::Ingress,
    ] {
        assert!(
            keys.iter().any(|key| key.kind == kind),
            "no {kind} to try it with"
        );
    }
    for missing in keys {
        let client = TestClient::new();
        client.full_session("s").open().await.unwrap();
        client.cluster.remove(&missing);
        client.podbay.delete("s", true).await.unwrap();
        if missing.kind == Kind::ConfigMap {
            // Nobody is left to wait for: the record's own deletion has everything collected.
            settle().await;
        }
        client.cluster.assert_empty(&format!("without {missing}"));
    }
}

/// The same with any other error: here the right to see or delete claims is missing, which is told once all else is gone.
#[tokio::test(start_paused = true)]
async fn defect_01_a_claim_that_cannot_be_deleted_does_not_keep_the_others_from_it() {
    for operation in [Operation::Get, Operation::Delete] {
        let client = TestClient::new();
        client.full_session("s").open().await.unwrap();
        let on = On::any().operation(operation).kind(Kind::PersistentVolumeClaim);
        client.calls.inject(on, Fault::before(ErrorKind::Forbidden));
        let error = client.podbay.delete("s", true).await.unwrap_err();
        assert_eq!(kind_of(&error), Some(ErrorKind::Forbidden), "{error:?}");
        settle().await;
        let left: Vec<Kind> = client.cluster.objects().iter().map(Object::kind).collect();
        assert_eq!(left, [Kind::PersistentVolumeClaim], "{operation:?} is forbidden");
    }
}

/// The namespace was an attribute of the class: empty after a restart, so that nothing was deleted, and overwritten by the
/// next configuration of the same process.
#[tokio::test(start_paused = true)]
async fn defect_02_each_podbay_of_a_process_has_its_own_namespace() {
    let cluster = ScriptedCluster::new();
    let of = |namespace: &str| {
        let mut config = Config::default();
        config.kubernetes.namespace = namespace.to_owned();
        TestClient::on(&cluster, config)
    };
    let (a, b) = (of("a"), of("b"));
    a.full_session("s").open().await.unwrap();
    b.full_session("s").open().await.unwrap();
    let of_b = b.cluster.objects().len();
    assert_eq!(a.cluster.objects().len(), of_b);

    // Of a process that was started again; another configuration is the one built last.
    let (again, _last) = (of("a"), of("b"));
    assert!(again.podbay.delete("s", true).await.unwrap().existed);
    assert_eq!(a.cluster.objects(), []);
    assert_eq!(b.cluster.objects().len(), of_b);
    assert!(b.podbay.delete("s", true).await.unwrap().existed);
    assert_eq!(b.cluster.objects(), []);
}

/// The exit listener knew the first session alone, and after a SIGKILL everything survived: nothing had an owner.
#[tokio::test(start_paused = true)]
async fn defect_03_all_sessions_of_a_process_are_closed_and_a_killed_one_leaves_what_its_record_owns() {
    let client = TestClient::new();
    for id in ["one", "two", "three"] {
        client.full_session(id).open().await.unwrap();
    }
    let closed = client.podbay.close_all("", true).await.unwrap();
    assert_eq!(closed.len(), 3);
    assert!(closed.iter().all(|closed| closed.as_ref().unwrap().existed));
    let left: Vec<Kind> = client.cluster.objects().iter().map(Object::kind).collect();
    assert_eq!(
        left,
        [Kind::PersistentVolumeClaim; 3],
        "a persistent workspace is kept, nothing else"
    );

    // A process that dies after each of its writes in turn.
    for write in 0..WRITES {
        let client = TestClient::new();
        client
            .calls
            .inject(On::any().writes().nth(write), Fault::Crash(When::After));
        let opening = tokio::spawn(client.full_session("s").open());
        client.calls.crashed().cancelled().await;
        opening.abort();

        let record = ObjectKey::new(Kind::ConfigMap, NAMESPACE, names("s").object());
        let uid = client
            .cluster
            .scripted
            .raw()
            .get(&record)
            .unwrap()
            .uid()
            .to_owned();
        for object in client.cluster.objects() {
            let owners = object.metadata().owner_references.clone().unwrap_or_default();
            let alone = [Kind::ConfigMap, Kind::PersistentVolumeClaim].contains(&object.kind());
            assert_eq!(
                alone,
                !owners.iter().any(|owner| owner.uid == uid),
                "{}",
                object.key()
            );
        }
        // Whoever comes next needs to delete the record alone.
        client
            .cluster
            .scripted
            .raw()
            .delete(&record, DeleteOptions::default())
            .unwrap();
        settle().await;
        let left = client.cluster.objects();
        assert!(
            left.iter()
                .all(|object| object.kind() == Kind::PersistentVolumeClaim),
            "{left:#?}"
        );
    }
}

/// A creation that failed midway left the claim, the pod and the Services that were made before it.
#[tokio::test(start_paused = true)]
async fn defect_04_a_start_that_fails_at_any_step_is_rolled_back() {
    for kind in [
        ErrorKind::Server { status: 500 },
        ErrorKind::Forbidden,
        ErrorKind::Invalid,
        ErrorKind::Unreachable,
    ] {
        for create in 0..WRITES {
            let client = TestClient::new();
            let on = On::any().operation(Operation::Create).nth(create);
            client
                .calls
                .inject(on, Fault::before(kind).message("refused by the test"));
            let error = client.full_session("s").open().await.unwrap_err();
            assert!(
                error.chain().contains("refused by the test"),
                "{create} {kind}: {}",
                error.chain()
            );
            settle().await;
            client
                .cluster
                .assert_empty(&format!("creation {create} answered {kind}"));
        }
    }
    // No creation was forgotten above.
    let client = TestClient::new();
    client.full_session("s").open().await.unwrap();
    let creations = client
        .calls
        .calls()
        .iter()
        .filter(|call| call.operation == Operation::Create)
        .count();
    assert_eq!(creations, WRITES);
}

/// The same, where the claim was made and the answer lost: it is this start's all the same.
#[tokio::test(start_paused = true)]
async fn defect_04_a_claim_whose_answer_was_lost_is_rolled_back_too() {
    let client = TestClient::new();
    let creating = |kind| On::any().operation(Operation::Create).kind(kind).nth(0);
    client.calls.inject(
        creating(Kind::PersistentVolumeClaim),
        Fault::after(ErrorKind::Server { status: 504 }),
    );
    client.calls.inject(
        creating(Kind::Pod),
        Fault::before(ErrorKind::Server { status: 500 }),
    );
    client.full_session("s").open().await.unwrap_err();
    settle().await;
    client
        .cluster
        .assert_empty("after a lost answer and a failed start");
}

/// A claim that was there before the start is no part of what is rolled back: it holds a user's work.
#[tokio::test(start_paused = true)]
async fn defect_04_a_claim_that_was_there_is_not_rolled_back() {
    let client = TestClient::new();
    client.full_session("s").open().await.unwrap();
    client.podbay.close("s", true).await.unwrap();
    let claim = client
        .cluster
        .find(Kind::PersistentVolumeClaim, names("s").claim())
        .unwrap();
    let on = On::any().operation(Operation::Create).kind(Kind::Pod);
    client
        .calls
        .inject(on, Fault::before(ErrorKind::Server { status: 500 }));
    client.full_session("s").open().await.unwrap_err();
    settle().await;
    let kept = client
        .cluster
        .find(Kind::PersistentVolumeClaim, names("s").claim())
        .unwrap();
    assert_eq!(kept.uid(), claim.uid());
    assert!(!kept.is_terminating());
    assert_eq!(client.cluster.objects().len(), 1);
}

/// 409 was not handled: a Service or Ingress of an earlier run made every later start of the session fail.
#[tokio::test(start_paused = true)]
async fn defect_05_what_an_earlier_run_left_does_not_make_the_start_fail() {
    let client = TestClient::new();
    client.full_session("s").open().await.unwrap();
    let left: Vec<Object> = client
        .cluster
        .objects()
        .into_iter()
        .filter(|object| matches!(object.kind(), Kind::Service | Kind::Ingress | Kind::Secret))
        .collect();
    assert_eq!(left.len(), 5);
    client.podbay.delete("s", true).await.unwrap();

    // The same objects again: of a record that is gone, and not collected yet.
    for object in &left {
        let mut json = object.to_json().unwrap();
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
            json["metadata"].as_object_mut().unwrap().remove(field);
        }
        let object = Object::from_json(object.kind(), json).unwrap();
        client.cluster.scripted.raw().create(object).unwrap();
    }
    client.full_session("s").open().await.unwrap();
    let met = Outcome::Failed(ErrorKind::AlreadyExists);
    let in_the_way = client.calls.calls().iter().any(|call| call.outcome == met);
    assert!(in_the_way, "what was left is no longer there to meet");
    settle().await;
    let record = client.cluster.find(Kind::ConfigMap, names("s").object()).unwrap();
    for before in &left {
        let now = client.cluster.find(before.kind(), before.key().name).unwrap();
        let owners = now.metadata().owner_references.clone().unwrap();
        assert_eq!(owners[0].uid, record.uid(), "{}", now.key());
    }

    // One that nothing tells to be ours is left alone, and named.
    let client = TestClient::new();
    let strange = json!({"metadata": {"name": names("s").service(), "namespace": NAMESPACE},
        "spec": {"ports": [{"port": 80}]}});
    client
        .cluster
        .scripted
        .raw()
        .create(Object::from_json(Kind::Service, strange).unwrap())
        .unwrap();
    let error = client.full_session("s").open().await.unwrap_err();
    assert!(
        matches!(&error, Error::NameTaken { object, .. } if object.contains(&names("s").service())),
        "{error:?}"
    );
    settle().await;
    client.cluster.assert_empty("after the name was found taken");
}

/// A pod that had failed or succeeded was never replaced: every reconnect waited 300 s and failed.
#[tokio::test(start_paused = true)]
async fn defect_06_a_pod_that_has_ended_is_replaced() {
    for (code, phase) in [(1, "Failed"), (0, "Succeeded")] {
        let client = TestClient::new();
        let session = client.session("s").open().await.unwrap();
        let ended = client.pod("s");
        client
            .cluster
            .scripted
            .exit(NAMESPACE, &session.pod_name(), code)
            .unwrap();
        assert_eq!(client.pod("s").to_json().unwrap()["status"]["phase"], phase);

        let begun = tokio::time::Instant::now();
        let session = client.session("s").open().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(session.report().recreated);
        let pod = client.pod("s");
        assert_ne!(pod.uid(), ended.uid());
        assert_eq!(pod.to_json().unwrap()["status"]["phase"], "Running");
        assert!(takes_commands(&session).await);
    }
}

/// A pod with a deletion timestamp was attached to, and died under the session.
#[tokio::test(start_paused = true)]
async fn defect_07_a_terminating_pod_is_not_attached_to() {
    let client = slow_to_end();
    let session = client.session("s").open().await.unwrap();
    let key = ObjectKey::new(Kind::Pod, NAMESPACE, session.pod_name());
    client
        .cluster
        .scripted
        .raw()
        .delete(&key, DeleteOptions::default())
        .unwrap();
    let old = client.pod("s");
    assert!(old.is_terminating());

    let session = client.session("s").open().await.unwrap();
    let new = client.pod("s");
    assert_ne!(new.uid(), old.uid());
    assert!(!new.is_terminating());
    assert!(takes_commands(&session).await);
}

/// A terminating claim counted as there, and was deleted before the pod whose use of it kept it from going.
#[tokio::test(start_paused = true)]
async fn defect_08_a_terminating_claim_is_waited_out_and_goes_with_its_pod() {
    let client = slow_to_end();
    let claim = || {
        client
            .cluster
            .find(Kind::PersistentVolumeClaim, names("s").claim())
    };
    client.full_session("s").open().await.unwrap();
    let old = claim().unwrap();
    client.podbay.delete("s", false).await.unwrap();
    assert!(claim().unwrap().is_terminating(), "its pod still uses it");

    client.full_session("s").open().await.unwrap();
    let new = claim().unwrap();
    assert_ne!(new.uid(), old.uid());
    assert!(!new.is_terminating());

    client.calls.forget_calls();
    let begun = tokio::time::Instant::now();
    client.podbay.delete("s", true).await.unwrap();
    client.cluster.assert_empty("after delete");
    assert!(begun.elapsed() < ENDING * 2, "{:?}", begun.elapsed());
    // The pod's end was set off before anything was waited for: the claim goes with it, not after a wait of its own.
    let calls = client.calls.calls();
    let record_deleted = calls
        .iter()
        .position(|call| call.operation == Operation::Delete && call.kind == Some(Kind::ConfigMap))
        .unwrap();
    let of_claim = |call: &&Call| call.kind == Some(Kind::PersistentVolumeClaim);
    let reads_of_claim = |call: &&Call| of_claim(call) && call.operation == Operation::Get;
    let looks = calls[..record_deleted].iter().filter(reads_of_claim).count();
    assert!(looks <= 1, "{calls:#?}");

    // One that never goes: the wait is bounded, and names it.
    let client = TestClient::with(configured("[podbay]\ndeletion_timeout_seconds = 20"));
    client.full_session("s").open().await.unwrap();
    let key = ObjectKey::new(Kind::PersistentVolumeClaim, NAMESPACE, names("s").claim());
    let held = json!({"metadata": {"finalizers": ["example.com/backup"]}});
    client.cluster.scripted.raw().patch(&key, &held).unwrap();
    client.podbay.delete("s", false).await.unwrap();
    settle().await;
    let error = client.full_session("s").open().await.unwrap_err();
    assert!(
        matches!(&error, Error::StillThere { object, .. } if object.contains(&names("s").claim())),
        "{error:?}"
    );
    settle().await;
    assert_eq!(client.cluster.objects().len(), 1, "the claim alone");
}

/// A claim whose read was answered with 403 or 500 counted as missing, was created, and the error misled.
#[tokio::test(start_paused = true)]
async fn defect_09_a_claim_that_cannot_be_read_is_reported_as_such() {
    for kind in [ErrorKind::Forbidden, ErrorKind::Server { status: 500 }] {
        let client = TestClient::new();
        client.full_session("s").open().await.unwrap();
        client.podbay.close("s", true).await.unwrap();
        let claim = client
            .cluster
            .find(Kind::PersistentVolumeClaim, names("s").claim())
            .unwrap();

        client.calls.forget_calls();
        client.calls.inject(
            On::any()
                .operation(Operation::Get)
                .kind(Kind::PersistentVolumeClaim),
            Fault::before(kind).message("said by the cluster"),
        );
        let error = client.full_session("s").open().await.unwrap_err();
        assert_eq!(kind_of(&error), Some(kind), "{error:?}");
        let text = error.chain();
        assert!(
            text.contains("said by the cluster") && text.contains(&names("s").claim()),
            "{text}"
        );
        let made = client
            .calls
            .calls()
            .into_iter()
            .filter(|call| call.operation == Operation::Create && call.outcome == Outcome::Succeeded)
            .filter_map(|call| call.kind);
        assert_eq!(
            made.collect::<Vec<_>>(),
            [Kind::ConfigMap],
            "the record, which is rolled back"
        );
        settle().await;
        let left = client.cluster.objects();
        assert_eq!(left.len(), 1, "{left:#?}");
        assert_eq!(left[0].uid(), claim.uid());
    }
}

/// `close` and `delete` returned before the objects were gone; a quick start met 409 or a terminating pod.
#[tokio::test(start_paused = true)]
async fn defect_10_close_waits_until_all_is_gone_and_a_session_can_be_opened_again_at_once() {
    let client = slow_to_end();
    let mut pods = std::collections::BTreeSet::new();
    for wait in [true, false, true, false] {
        let session = client.podbay.session("s").request(full()).open().await.unwrap();
        assert!(pods.insert(client.pod("s").uid().to_owned()), "an old pod");
        assert!(!session.report().attached);
        client.podbay.close("s", wait).await.unwrap();
        if wait {
            let left: Vec<_> = client.cluster.objects().iter().map(Object::kind).collect();
            assert_eq!(left, [Kind::PersistentVolumeClaim], "it was asked to be kept");
        }
    }
    for wait in [true, false, true] {
        let session = client.session("t").open().await.unwrap();
        assert!(pods.insert(client.pod("t").uid().to_owned()), "an old pod");
        assert!(!session.report().attached);
        client.podbay.delete("t", wait).await.unwrap();
        if wait {
            assert!(client.cluster.find(Kind::Pod, names("t").object()).is_none());
        }
    }
}

/// Any error of a read was taken for absence, and a second session was made.
#[tokio::test(start_paused = true)]
async fn defect_11_a_failing_read_is_not_taken_for_absence() {
    for kind in [
        ErrorKind::Forbidden,
        ErrorKind::Server { status: 500 },
        ErrorKind::Disconnected,
        ErrorKind::Unreachable,
    ] {
        for read in [Kind::ConfigMap, Kind::Pod] {
            let client = TestClient::new();
            client.session("s").open().await.unwrap();
            let before = client.cluster.objects();
            client.calls.forget_calls();
            let on = On::any().operation(Operation::Get).kind(read);
            client.calls.inject(on, Fault::before(kind));

            for mode in [OpenMode::AttachOrCreate, OpenMode::Attach] {
                let opened = client.session("s").mode(mode).open().await;
                let error = opened.unwrap_err();
                assert_eq!(kind_of(&error), Some(kind), "{read} {error:?}");
            }
            if read == Kind::ConfigMap {
                let error = client.podbay.close("s", true).await.unwrap_err();
                assert_eq!(kind_of(&error), Some(kind), "not \"it was not there\"");
                let error = client.podbay.delete("s", true).await.unwrap_err();
                assert_eq!(kind_of(&error), Some(kind));
            }
            let changed = client
                .calls
                .calls()
                .into_iter()
                .any(|call| call.operation.is_write() && call.outcome == Outcome::Succeeded);
            assert!(!changed, "{read} {kind}: {:?}", client.calls.calls());
            assert_eq!(client.cluster.objects(), before);
        }
    }
    let client = TestClient::new();
    client.podbay.session("s").image(IMAGE).open().await.unwrap();
    client.calls.inject(
        On::any().operation(Operation::List),
        Fault::before(ErrorKind::Forbidden),
    );
    assert_eq!(
        kind_of(&client.podbay.list("").await.unwrap_err()),
        Some(ErrorKind::Forbidden),
        "not \"there are none\""
    );
}
