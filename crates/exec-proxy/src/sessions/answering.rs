//! Which sandboxes have answered: a pod that runs is not yet a server that answers.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use podbay_runtime::Podbay;
use podbay_runtime::dial::SandboxAddress;

/// How long a sandbox may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(2);
/// Sandboxes that are remembered, at most: beyond that they are asked again.
const MOST: usize = 20_000;

/// Sandboxes that have answered, by the uid of their pods.
#[derive(Clone, Debug, Default)]
pub(super) struct Answering(Arc<Mutex<HashSet<String>>>);

impl Answering {
    /// Whether this one has answered.
    pub(super) fn contains(&self, uid: &str) -> bool {
        self.all().contains(uid)
    }

    /// Notes that one has.
    pub(super) fn add(&self, uid: &str) {
        let mut all = self.all();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(uid.to_owned());
    }

    /// Forgets one whose server is started again.
    pub(super) fn forget(&self, uid: &str) {
        self.all().remove(uid);
    }

    /// Asks a sandbox whether it is alive, if it has not answered yet.
    pub(super) async fn ask(&self, podbay: &Podbay, address: &SandboxAddress, port: u16) -> bool {
        if self.contains(address.uid()) {
            return true;
        }
        let answers = tokio::time::timeout(PATIENCE, is_alive(podbay, address, port)).await;
        let answers = answers.unwrap_or(false);
        if answers {
            self.add(address.uid());
        }
        answers
    }

    fn all(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /alive`, which each server in a sandbox answers without a key.
async fn is_alive(podbay: &Podbay, address: &SandboxAddress, port: u16) -> bool {
    let Ok(io) = podbay.dial(address, port).await else {
        return false;
    };
    let Ok((mut sender, connection)) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await else {
        return false;
    };
    let request = Request::get("/alive")
        .header("host", "sandbox")
        .body(Empty::<Bytes>::new());
    let Ok(request) = request else { return false };
    let mut answer = std::pin::pin!(sender.send_request(request));
    let answer = tokio::select! {
        answer = &mut answer => answer,
        // It makes the exchange. Where it ends with it, the answer is there.
        _ = connection => answer.await,
    };
    answer.is_ok_and(|answer| answer.status().is_success())
}
