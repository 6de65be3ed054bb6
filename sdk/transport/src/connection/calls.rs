//! Calls to the other side that wait for their answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};

use blockhouse_protocol::RemotingCommand;
use parking_lot::Mutex;
use tokio::sync::oneshot;

#[derive(Debug)]
pub(super) struct Calls {
    next: AtomicI32,
    waiting: Mutex<HashMap<i32, oneshot::Sender<RemotingCommand>>>,
    max: usize,
}

/// One call; forgotten when dropped.
#[derive(Debug)]
pub(super) struct Call<'a> {
    calls: &'a Calls,
    opaque: i32,
    answer: oneshot::Receiver<RemotingCommand>,
}

impl Calls {
    pub(super) fn new(max: usize) -> Self {
        Self { next: AtomicI32::new(1), waiting: Mutex::new(HashMap::new()), max }
    }

    /// A number for a request; wraps around.
    pub(super) fn opaque(&self) -> i32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes room for an answer; `None` if too many calls wait.
    pub(super) fn begin(&self) -> Option<Call<'_>> {
        let (sender, answer) = oneshot::channel();
        let opaque = self.opaque();
        let mut waiting = self.waiting.lock();
        if waiting.len() >= self.max || waiting.contains_key(&opaque) {
            return None;
        }
        waiting.insert(opaque, sender);
        Some(Call { calls: self, opaque, answer })
    }

    pub(super) fn complete(&self, response: RemotingCommand) {
        let waiting = self.waiting.lock().remove(&response.opaque);
        if let Some(sender) = waiting {
            // The caller may have given up meanwhile.
            let _unwanted = sender.send(response);
        }
    }

    pub(super) fn fail_all(&self) {
        self.waiting.lock().clear();
    }
}

impl Call<'_> {
    pub(super) fn opaque(&self) -> i32 {
        self.opaque
    }

    /// The answer; `None` if the connection ended.
    pub(super) async fn answer(mut self) -> Option<RemotingCommand> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.calls.waiting.lock().remove(&self.opaque);
    }
}
