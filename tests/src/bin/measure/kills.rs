//! `kill -9` at any moment.

use std::time::Duration;

use podbay_tests::{DEBIAN, Namespace, SMALL};
use tokio::time::Instant;

/// Kills `podbay run` at 20 moments spread over its life, each followed by `podbay close --all`.
pub(crate) async fn twenty_moments(namespace: &Namespace) {
    let podbay = namespace.podbay();
    let words = [
        &["run", "--image", DEBIAN, "--env", "A=b"],
        &SMALL[..],
        &["--", "sleep", "0.3"],
    ]
    .concat();
    let begun = Instant::now();
    let _ = podbay.run(&words).await.expect(0);
    let life = begun.elapsed();
    namespace.wait_until_empty().await;
    let mut left_by_kill = Vec::new();
    for moment in 0..20_u32 {
        let mut child = podbay.command(&words).spawn().unwrap();
        tokio::time::sleep(life * moment / 20).await;
        child.kill().await.unwrap();
        // What was sent and not yet answered is still on its way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let left: usize = namespace.objects().await.values().sum();
        left_by_kill.push(left);
        let _ = podbay.run(&["close", "--all", "--wait"]).await.expect(0);
        namespace.wait_until_empty().await;
    }
    let left = namespace.objects().await;
    println!("an undisturbed run takes {} ms", life.as_millis());
    println!("objects 100 ms after each kill: {left_by_kill:?}");
    println!(
        "objects left after `podbay close --all`: {} (0 allowed)",
        left.values().sum::<usize>()
    );
}
