//! Waiting until a change is on disk.

use std::sync::Arc;

use blockhouse_meta::Error;
use tokio::sync::Mutex;

use crate::refusal::{Refusal, RefusalKind};
use crate::{apart, blocking};

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
pub(crate) struct Turns(Arc<Mutex<()>>);

impl Turns {
    /// Returns once `persist` is done.
    ///
    /// # Errors
    /// It failed, or the broker is stopping.
    pub(crate) async fn save(
        &self,
        persist: impl FnOnce() -> Result<bool, Error> + Send + 'static,
    ) -> Result<(), Refusal> {
        let turns = Arc::clone(&self.0);
        let saved = apart(async move {
            let turn = turns.lock_owned().await;
            blocking(move || {
                // Kept by the thread, whoever waits for it.
                let _turn = turn;
                persist()
            })
            .await
        });
        let saved = saved.await??;
        saved.map(drop).map_err(|e| Refusal::new(RefusalKind::SystemError, e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn who_is_not_polled_keeps_no_turn_from_others() {
        let turns = Turns::default();
        let (go, wait) = sync_channel(1);
        let mut saving = pin!(turns.save(move || Ok(wait.recv().is_ok())));
        let mut waiting = pin!(turns.save(|| Ok(true)));
        assert!(saving.as_mut().now_or_never().is_none());
        assert!(waiting.as_mut().now_or_never().is_none());
        go.send(()).unwrap();
        // Both stand still: their clients do not take their bytes.
        let other = timeout(Duration::from_secs(20), turns.save(|| Ok(true))).await;
        other.expect("a turn").unwrap();
        saving.await.unwrap();
        waiting.await.unwrap();
    }

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
