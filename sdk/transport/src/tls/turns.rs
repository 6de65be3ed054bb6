//! How many handshakes are under way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Addresses remembered before those without a handshake are looked for.
const PEERS_MIN: usize = 1_024;

/// At most so many at a time, and of one address half of them: who begins many and finishes none
/// holds up no other address.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    each: usize,
    peers: Mutex<Peers>,
}

#[derive(Default)]
struct Peers {
    turns: HashMap<IpAddr, Weak<Semaphore>>,
    /// How many there may be before the next look.
    look_at: usize,
}

/// The right to a handshake, until it is dropped. The permits keep their semaphores.
pub(super) struct Turn {
    _of_peer: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new(max: usize) -> Self {
        let all = Arc::new(Semaphore::new(max));
        Self { all, each: max.div_ceil(2), peers: Mutex::default() }
    }

    /// Waits until one more handshake with `peer` may begin; `None` does not happen, since nobody
    /// closes the semaphores.
    pub(super) async fn take(&self, peer: IpAddr) -> Option<Turn> {
        let of_peer = self.of(peer.to_canonical());
        // Its own first: who waits for that holds nothing that others want.
        let of_peer = of_peer.acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn { _of_peer: of_peer, _of_all: of_all })
    }

    fn of(&self, peer: IpAddr) -> Arc<Semaphore> {
        let mut peers = self.peers.lock();
        if let Some(turns) = peers.turns.get(&peer).and_then(Weak::upgrade) {
            return turns;
        }
        if peers.turns.len() >= peers.look_at {
            peers.turns.retain(|_, turns| turns.strong_count() > 0);
            peers.look_at = PEERS_MIN.max(peers.turns.len() * 2);
        }
        let turns = Arc::new(Semaphore::new(self.each));
        peers.turns.insert(peer, Arc::downgrade(&turns));
        turns
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt as _;

    use super::*;

    fn peer(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn one_address_has_half_of_the_turns_and_gets_them_back() {
        let turns = Turns::new(4);
        let now = |number| turns.take(peer(number)).now_or_never().flatten();
        let mut first: Vec<_> = (0..3).filter_map(|_| now(1)).collect();
        assert_eq!(first.len(), 2);
        let mapped = turns.take("::ffff:0.0.0.1".parse().unwrap()).now_or_never();
        assert!(mapped.is_none(), "the same address in another notation");
        let second: Vec<_> = (0..3).filter_map(|_| now(2)).collect();
        assert_eq!(second.len(), 2);
        assert!(now(3).is_none(), "all are taken");
        first.pop();
        assert!(now(3).is_some() && now(1).is_some());
        drop(second);
        assert!(now(1).is_some());
    }

    #[test]
    fn addresses_without_a_handshake_are_forgotten() {
        let turns = Turns::new(2);
        for number in 0..100_000 {
            assert!(turns.take(peer(number)).now_or_never().flatten().is_some());
        }
        assert!(turns.peers.lock().turns.len() <= PEERS_MIN);
    }
}
