//! Waiting until a change is on disk.

use blockhouse_meta::Error;
use tokio::sync::Mutex;

use crate::blocking;
use crate::refusal::{Refusal, RefusalKind};

/// The files that requests wait for.
#[derive(Debug, Default)]
pub(crate) struct Saves {
    pub(crate) topics: Turns,
    pub(crate) groups: Turns,
}

/// One write of a file at a time. Whoever waits finds mostly that the write before held his change
/// as well. Without turns a burst of new topics takes a thread for each, which waits for the same
/// lock, and keeps the memory of the whole file's text for itself.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<()>);

impl Turns {
    /// Returns once `persist` is done.
    ///
    /// # Errors
    /// It failed, or the broker is stopping.
    pub(crate) async fn save(
        &self,
        persist: impl FnOnce() -> Result<bool, Error> + Send + 'static,
    ) -> Result<(), Refusal> {
        let _turn = self.0.lock().await;
        let saved = blocking(persist).await?;
        saved.map(drop).map_err(|e| Refusal::new(RefusalKind::SystemError, e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_burst_of_changes_takes_one_thread_at_a_time() {
        let (turns, inside) = (Arc::new(Turns::default()), Arc::new(AtomicUsize::new(0)));
        let mut saves = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let (turns, inside) = (Arc::clone(&turns), Arc::clone(&inside));
            saves.spawn(async move {
                let persist = move || {
                    let others = inside.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert_eq!(others, 0);
                    Ok(true)
                };
                turns.save(persist).await
            });
        }
        while let Some(saved) = saves.join_next().await {
            saved.unwrap().unwrap();
        }
    }
}
