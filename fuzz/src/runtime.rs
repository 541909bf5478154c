//! A runtime whose clock stands still while there is something to do, and jumps to what is waited for when there is not.

use std::cell::RefCell;

use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(
        Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime"),
    );
}

/// Runs this to its end.
pub fn with_clock(task: impl Future<Output = ()>) {
    RUNTIME.with_borrow_mut(|runtime| runtime.block_on(task));
}
