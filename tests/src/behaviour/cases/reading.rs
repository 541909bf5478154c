//! Getting and listing.

use podbay_k8s_client::{Kind, Object};
use serde_json::json;

use crate::behaviour::stage::version;
use crate::behaviour::{Observed, Stage};

pub(super) async fn absent(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    for kind in [Kind::ConfigMap, Kind::Job, Kind::NetworkPolicy] {
        let key = stage.key(kind, "absent");
        let found = stage.client.get(&key).await.expect("an answer");
        assert!(found.is_none());
        seen.outcome(kind.name(), &stage.raw.get(&key).await);
    }
    seen
}

pub(super) async fn labels_select(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    for (name, labels) in [
        ("none", json!({})),
        ("red", json!({"colour": "red"})),
        ("blue", json!({"colour": "blue", "size": "10"})),
        ("empty", json!({"colour": ""})),
    ] {
        let map = json!({"metadata": {"name": name, "labels": labels}});
        stage.create(Kind::ConfigMap, map).await;
    }
    for selector in [
        "",
        "colour=red",
        "colour==red",
        "colour!=red",
        "colour=",
        "colour",
        "!colour",
        "colour in (red, blue)",
        "colour notin (red,blue)",
        "colour=blue,size=10",
        "colour=blue,size!=10",
        "size>9",
        "size<10",
        " colour , size ",
        "example.com/absent",
    ] {
        let listed = stage
            .client
            .list(Kind::ConfigMap, &stage.namespace, selector)
            .await;
        seen.note(selector, names(&listed.expect("a list")));
    }
    seen
}

pub(super) async fn bad_selectors(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    for selector in ["colour in red", "a b", "=red", "colour in (", "a=b c", "size>x"] {
        let listed = stage.raw.list(Kind::ConfigMap, &stage.namespace, selector).await;
        let error = listed.expect_err("a refusal");
        seen.note(selector, error.kind.to_string());
    }
    seen
}

pub(super) async fn list_version(stage: Stage) -> Observed {
    let mut seen = stage.observe();
    stage.create_map("a").await;
    stage.create_map("b").await;
    let list = stage
        .raw
        .list(Kind::ConfigMap, &stage.namespace, "")
        .await
        .expect("a list");
    let of_list: u64 = list.version.parse().expect("a number");
    seen.note(
        "not before its items",
        list.items.iter().all(|item| version(item) <= of_list),
    );
    seen.note("items", names(&list.items));
    let none = stage
        .raw
        .list(Kind::Job, &stage.namespace, "")
        .await
        .expect("a list");
    seen.note("nothing", names(&none.items));
    let of_none: u64 = none.version.parse().expect("a number");
    seen.note("has a version too", of_none >= of_list);
    seen
}

fn names(objects: &[Object]) -> Vec<String> {
    let names = objects.iter().filter_map(|object| object.metadata().name.clone());
    names.collect()
}
