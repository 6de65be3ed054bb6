//! Turns at the disk, for pulls whose messages are not in memory.
//!
//! There are few of them: a thread for each of many consumers that catch up would leave the workers, who send, little of the
//! processors. And what was read for a connection waits in memory until that takes it, so each has few places for them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::refusal::Refusal;
use crate::{apart, blocking};

/// Connections remembered before those that wait for nothing are looked for.
const CONNECTIONS_MIN: usize = 1_024;

/// Who reads from the disk.
pub(crate) struct ColdReads {
    turns: Arc<Semaphore>,
    /// So many pulls of one connection have a turn, wait for it, or are not taken yet.
    each: usize,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    places: HashMap<u64, Weak<Semaphore>>,
    /// How many there may be before the next look.
    look_at: usize,
}

impl ColdReads {
    pub(crate) fn new(turns: usize) -> Self {
        // One connection alone can keep all turns busy while its task takes what was read.
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            each: 2 * turns,
            connections: Mutex::default(),
        }
    }

    /// Reads for this connection on a thread that may wait for the disk, once it is its turn.
    ///
    /// # Errors
    /// The broker is stopping.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        connection: u64,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let _until_taken = self.places(connection).acquire_owned().await;
        let turns = Arc::clone(&self.turns);
        apart(async move {
            let turn = turns.acquire_owned().await;
            blocking(move || {
                // Kept by the thread, which goes on reading when nobody waits for it any more.
                let _turn = turn;
                read()
            })
            .await
        })
        .await?
    }

    fn places(&self, connection: u64) -> Arc<Semaphore> {
        let mut connections = self.connections.lock();
        if let Some(places) = connections.places.get(&connection).and_then(Weak::upgrade) {
            return places;
        }
        if connections.places.len() >= connections.look_at {
            connections.places.retain(|_, places| places.strong_count() > 0);
            connections.look_at = CONNECTIONS_MIN.max(connections.places.len() * 2);
        }
        let places = Arc::new(Semaphore::new(self.each));
        connections.places.insert(connection, Arc::downgrade(&places));
        places
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn who_is_not_polled_when_its_turn_comes_keeps_it_from_nobody() {
        let reads = ColdReads::new(1);
        let (go, wait) = sync_channel(1);
        let mut first = pin!(reads.read(1, move || wait.recv().is_ok()));
        let mut stalled = pin!(reads.read(2, || "late"));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(stalled.as_mut().now_or_never().is_none());
        let mut other = pin!(reads.read(3, || "in time"));
        assert!(other.as_mut().now_or_never().is_none());
        go.send(()).unwrap();
        assert!(first.await.unwrap());
        assert_eq!(timeout(PATIENCE, other).await.expect("a turn").unwrap(), "in time");
        assert_eq!(stalled.await.unwrap(), "late");
    }

    #[tokio::test]
    async fn little_is_read_for_a_connection_that_takes_nothing() {
        let reads = ColdReads::new(1);
        let count = Arc::new(AtomicUsize::new(0));
        let read = |connection| {
            let count = Arc::clone(&count);
            reads.read(connection, move || count.fetch_add(1, Ordering::SeqCst))
        };
        let mut all: Vec<_> = (0..5).map(|_| Box::pin(read(1))).collect();
        for read in &mut all {
            assert!(read.as_mut().now_or_never().is_none());
        }
        // Behind those that wait for their turn.
        assert_eq!(read(2).await.unwrap(), 2);
        assert_eq!(count.load(Ordering::SeqCst), 3);
        all.pop();
        let taken = timeout(PATIENCE, join_all(all)).await.expect("the others, in turn");
        assert!(taken.iter().all(Result::is_ok));
        assert_eq!(count.load(Ordering::SeqCst), 5, "nothing for who has left");
    }

    #[tokio::test]
    async fn connections_that_wait_for_nothing_are_forgotten() {
        let reads = ColdReads::new(1);
        for connection in 0..10_000 {
            drop(reads.places(connection));
        }
        assert!(reads.connections.lock().places.len() <= CONNECTIONS_MIN);
    }
}
