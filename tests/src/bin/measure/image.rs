//! How soon a bad image is told.

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Event;
use kube::api::{WatchEvent, WatchParams};
use podbay_tests::registry::Registry;
use podbay_tests::{Namespace, SMALL};
use tokio::time::Instant;

use crate::figures::Figures;

/// From the kubelet's first event about the image to the end of `podbay run`.
pub(crate) async fn verdicts(namespace: &Namespace) {
    let _registry = Registry::start().await;
    let mut figures = Figures::default();
    for round in 0..10 {
        let events = namespace.api::<Event>();
        let mut watch = events.watch(&WatchParams::default(), "0").await.unwrap().boxed();
        let image = format!("registry.example/missing/a:{round}");
        let words = [
            &["run", "-o", "json", "--image", &image],
            &SMALL[..],
            &["--", "true"],
        ]
        .concat();
        let mut child = namespace.podbay().command(&words).spawn().unwrap();
        let first = async {
            while let Some(event) = watch.next().await {
                let (WatchEvent::Added(event) | WatchEvent::Modified(event)) = event.unwrap() else {
                    continue;
                };
                let of_kubelet =
                    event.source.and_then(|source| source.component).as_deref() == Some("kubelet");
                if of_kubelet && event.message.unwrap_or_default().contains(&image) {
                    return Instant::now();
                }
            }
            Instant::now()
        };
        let (first, status) = tokio::join!(first, async { (child.wait().await.unwrap(), Instant::now()) });
        assert_eq!(status.0.code(), Some(125));
        figures.add(status.1.saturating_duration_since(first));
    }
    println!(
        "{} (at most 5000)",
        figures.line("from the kubelet's first event to exit 125")
    );
}
