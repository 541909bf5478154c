//! What a user sees when the cluster itself fails. One test at a time, and alone on the cluster: each stops or
//! fills a part of it. Needs our own cluster (`PODBAY_TEST_CLUSTER`): others may not be broken so.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod capacity;
mod images;
mod outage;
mod served;
