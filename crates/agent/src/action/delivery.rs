//! Actions carried out once, however often a broken connection lets their client ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use super::actions::Actions;
use super::refusal::Refusal;
use super::repeats::{Arrival, Ending, Repeats, Run};
use super::request::{Action, Asked};

/// An answer: its status and its JSON.
type Answer = (u16, Bytes);

/// What is carried out, and what was answered.
#[derive(Clone)]
pub struct Deliveries {
    repeats: Arc<Mutex<Repeats<Answer>>>,
    /// Told when something was carried out.
    ended: watch::Sender<()>,
}

/// An answer on its way to a client. Dropped, its connection has broken.
pub struct Delivery {
    deliveries: Deliveries,
    run: Run,
    ending: Ending,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self {
            repeats: Arc::default(),
            ended: watch::Sender::new(()),
        }
    }
}

impl Deliveries {
    /// Carries an action out, whose body this was, unless it is a repetition; then its answer is the earlier one's. It is
    /// carried out to its end although nobody waits for it any longer.
    pub async fn execute(
        &self,
        actions: &Arc<Actions>,
        body: &[u8],
        asked: Asked,
    ) -> (Answer, Option<Delivery>) {
        if !may_repeat(&asked.action) {
            return (carry_out(actions, asked).await, None);
        }
        let hash = Sha256::digest(body).into();
        let arrival = self.repeats().arrives(hash, Instant::now());
        let (Arrival::New(run) | Arrival::Joins(run) | Arrival::Answered(run, _)) = &arrival;
        let run = *run;
        let delivery = Delivery {
            deliveries: self.clone(),
            run,
            ending: Ending::Broken,
        };
        match arrival {
            Arrival::Answered(_, answer) => {
                tracing::info!(
                    "an action was asked for again after its connection broke: it gets its answer"
                );
                return (answer, Some(delivery));
            }
            Arrival::Joins(_) => {
                tracing::info!("an action was asked for again after its connection broke: it goes on");
            }
            Arrival::New(_) => {
                let (deliveries, actions) = (self.clone(), Arc::clone(actions));
                tokio::spawn(async move {
                    let answer = carry_out(&actions, asked).await;
                    let size = answer.1.len();
                    deliveries.repeats().ends(run, answer, size, Instant::now());
                    deliveries.ended.send_replace(());
                });
            }
        }
        let mut ended = self.ended.subscribe();
        loop {
            ended.mark_unchanged();
            let answer = self.repeats().answer(run);
            if let Some(answer) = answer {
                return (answer, Some(delivery));
            }
            // An error would be the end of the sender, which is held here.
            drop(ended.changed().await);
        }
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats<Answer>> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery {
    /// All of the answer was given to the system.
    pub fn written(&self) {
        self.deliveries.repeats().written(self.run, Instant::now());
    }

    /// This is how its connection ended. A client that goes on to ask something else on it has read the answer in order.
    pub fn ended(mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let now = Instant::now();
        self.deliveries.repeats().disconnected(self.run, self.ending, now);
    }
}

/// Whether it would do harm to carry it out again. An interrupt is for what runs when it comes.
fn may_repeat(action: &Action) -> bool {
    match action {
        Action::Read(_) | Action::Browse => false,
        Action::Edit(edit) => edit.command != "view",
        Action::Run(run) => !(run.is_input && run.command.trim() == "C-c"),
        Action::Python(_) | Action::Write(_) => true,
    }
}

/// In a task of its own, so that it goes on, and a fault in it ends nothing else.
async fn carry_out(actions: &Arc<Actions>, asked: Asked) -> Answer {
    let actions = Arc::clone(actions);
    let done = tokio::spawn(async move { actions.execute(asked).await }).await;
    let (status, document) = match done {
        Ok(Ok(observation)) => (200, observation.to_json()),
        Ok(Err(refusal)) => (refusal.status, refusal.to_json()),
        Err(_) => {
            let refusal = Refusal::internal("a fault of the agent: the action was not carried out");
            (refusal.status, refusal.to_json())
        }
    };
    (status, document.to_string().into())
}
