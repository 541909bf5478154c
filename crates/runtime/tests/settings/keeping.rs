//! How long what has failed is kept.

use jiff::{SignedDuration, Timestamp};
use podbay_fake_cluster::{ImageTrouble, Script, Trouble};

use crate::setup::{SESSION_ID, client, cluster};
use crate::support::plain;

effects! { paused:
    "podbay.failed_session_ttl_seconds" => failed_session_ttl_seconds;
}

async fn failed_session_ttl_seconds() {
    for seconds in [60, 7200] {
        let cluster = cluster(Script::stuck(Trouble::Image(ImageTrouble::NotFound)));
        let podbay = client(&cluster, |config| {
            config.podbay.failed_session_ttl_seconds = seconds;
        });
        let builder = podbay.session(SESSION_ID).request(plain());
        builder.keep_failed(true).open().await.unwrap_err();
        let ttl = SignedDuration::from_secs(i64::try_from(seconds).unwrap());
        for (later, goes) in [(ttl - SignedDuration::from_secs(30), 0), (ttl, 1)] {
            let removed = podbay.remove_expired(Timestamp::now() + later).await.unwrap();
            assert_eq!(removed.len(), goes, "{seconds} s, after {later}");
        }
        assert!(podbay.list("").await.unwrap().is_empty());
    }
}
