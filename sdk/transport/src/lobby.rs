//! Connections that nobody vouches for yet: how many, of whom, for how long, with how many bytes.
//!
//! A client that means well is here for a round trip or two: then a request of its is let in. Who
//! means no good stays. So beyond a limit the **oldest** goes: closing the newest would let whoever
//! fills the lobby keep everybody else out, for as long as the deadlines are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use blockhouse_meter::{Connections, Shed};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::debug;

use crate::{Connection, Endpoint, Limits, Refused, Sessions};

/// What a connection may hold without asking for more.
const FREE_BYTES: usize = 4 * 1024;
/// Longest and shortest time between two looks at the deadlines.
const LOOK_MAX: Duration = Duration::from_secs(1);
const LOOK_MIN: Duration = Duration::from_millis(5);

/// The connections of one listener that nobody vouches for yet.
pub(crate) struct Lobby {
    max: usize,
    of_address_max: usize,
    bytes_max: usize,
    first_request: Duration,
    login: Duration,
    told: Told,
    bytes: AtomicUsize,
    guests: Mutex<Guests>,
}

/// Where it is counted and told that a connection has to go.
struct Told {
    counts: Arc<Connections>,
    sessions: Arc<dyn Sessions>,
}

#[derive(Debug, Default)]
struct Guests {
    /// By the number of their connection: the oldest is the first.
    all: BTreeMap<u64, Entry>,
    of: HashMap<IpAddr, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Entry {
    connection: Weak<Connection>,
    since: Instant,
    address: Option<IpAddr>,
}

/// A connection's stay, until it is dropped.
pub(crate) struct Guest {
    lobby: Arc<Lobby>,
    id: u64,
    bytes: usize,
}

impl Lobby {
    pub(crate) fn new(limits: &Limits, endpoint: &Endpoint) -> Arc<Self> {
        let Endpoint { counts, sessions, .. } = endpoint;
        let told = Told { counts: Arc::clone(counts), sessions: Arc::clone(sessions) };
        Arc::new(Self {
            max: limits.unproven_max,
            of_address_max: limits.unproven_per_address_max,
            bytes_max: limits.unproven_bytes,
            first_request: Duration::from_millis(limits.first_request_ms),
            login: Duration::from_millis(limits.login_ms),
            told,
            bytes: AtomicUsize::new(0),
            guests: Mutex::default(),
        })
    }

    /// How often the deadlines are to be looked at.
    pub(crate) fn look(&self) -> Duration {
        (self.first_request.min(self.login) / 8).clamp(LOOK_MIN, LOOK_MAX)
    }

    /// Takes a new connection in; if there is no room, the oldest goes.
    pub(crate) fn enter(self: &Arc<Self>, connection: &Arc<Connection>) -> Guest {
        let (id, connection) = (connection.id(), Arc::downgrade(connection));
        let mut guests = self.guests.lock();
        while guests.all.len() >= self.max {
            guests.shed_oldest(Shed::Unproven, &self.told);
        }
        guests.all.insert(id, Entry { connection, since: Instant::now(), address: None });
        Guest { lobby: Arc::clone(self), id, bytes: 0 }
    }

    /// Closes the oldest connections, to make room for others. Gives how many there were.
    pub(crate) fn shed_oldest(&self, count: usize, why: Shed) -> usize {
        let mut guests = self.guests.lock();
        (0..count).take_while(|_| guests.shed_oldest(why, &self.told)).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.guests.lock().all.is_empty()
    }

    /// Closes connections that are here for too long.
    pub(crate) fn sweep(&self) {
        let (now, soonest) = (Instant::now(), self.first_request.min(self.login));
        let mut guests = self.guests.lock();
        let overdue: Vec<_> = guests
            .all
            .iter()
            .take_while(|(_, entry)| now - entry.since >= soonest)
            .filter_map(|(id, entry)| {
                let age = now - entry.since;
                let spoke = entry.connection.upgrade().is_some_and(|c| c.has_spoken());
                if !spoke && age >= self.first_request {
                    Some((*id, Shed::FirstRequest))
                } else {
                    (age >= self.login).then_some((*id, Shed::Login))
                }
            })
            .collect();
        for (id, why) in overdue {
            guests.shed(id, why, &self.told);
        }
    }
}

impl Told {
    fn goes(&self, connection: &Connection, why: Shed) {
        self.counts.shed[why as usize].add(1);
        debug!(peer = %connection.peer(), why = why.name(), "closed: nobody vouches for it");
        let reason = format_args!("nobody vouches for it ({})", why.name());
        self.sessions.refused(connection, Refused::Unproven, &reason);
    }
}

impl Guests {
    fn shed_oldest(&mut self, why: Shed, told: &Told) -> bool {
        let oldest = self.all.first_key_value().map(|(id, _)| *id);
        oldest.inspect(|id| self.shed(*id, why, told)).is_some()
    }

    fn shed(&mut self, id: u64, why: Shed, told: &Told) {
        if let Some(connection) = self.remove(id).and_then(|entry| entry.connection.upgrade()) {
            told.goes(&connection, why);
            connection.close();
        }
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.all.remove(&id)?;
        if let Some(address) = entry.address
            && let Some(others) = self.of.get_mut(&address)
        {
            others.remove(&id);
            if others.is_empty() {
                self.of.remove(&address);
            }
        }
        Some(entry)
    }
}

impl Guest {
    /// Says where the connection comes from; if too many are from there, their oldest goes.
    pub(crate) fn is_from(&self, address: IpAddr) {
        let address = address.to_canonical();
        let mut guests = self.lobby.guests.lock();
        let Some(entry) = guests.all.get_mut(&self.id) else { return };
        entry.address = Some(address);
        let of = guests.of.entry(address).or_default();
        of.insert(self.id);
        if of.len() > self.lobby.of_address_max
            && let Some(oldest) = of.first().copied()
        {
            guests.shed(oldest, Shed::Address, &self.lobby.told);
        }
    }

    /// Says how many bytes this connection keeps in memory; `false`: that is too much, now.
    pub(crate) fn holds(&mut self, bytes: usize, connection: &Connection) -> bool {
        let bytes = bytes.saturating_sub(FREE_BYTES);
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes <= before {
            self.lobby.bytes.fetch_sub(before - bytes, Ordering::Relaxed);
            return true;
        }
        let more = bytes - before;
        let together = self.lobby.bytes.fetch_add(more, Ordering::Relaxed) + more;
        let fits = together <= self.lobby.bytes_max;
        if !fits {
            self.lobby.told.goes(connection, Shed::Bytes);
        }
        fits
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.lobby.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.lobby.guests.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn lobby(change: impl FnOnce(&mut Limits)) -> Arc<Lobby> {
        let mut limits = Limits::default();
        change(&mut limits);
        let (service, sessions) = (Arc::new(crate::NoService), Arc::new(crate::NoSessions));
        Lobby::new(&limits, &Endpoint::new(service, sessions, limits.clone()))
    }

    fn connection() -> Arc<Connection> {
        let any = "127.0.0.1:1".parse().unwrap();
        Connection::detached(any, any)
    }

    fn ip(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    fn closed(connections: &[(Arc<Connection>, Guest)]) -> Vec<bool> {
        connections.iter().map(|(connection, _)| connection.is_closed()).collect()
    }

    fn shed(lobby: &Lobby, why: Shed) -> u64 {
        lobby.told.counts.shed[why as usize].read()
    }

    #[tokio::test]
    async fn beyond_the_limit_the_oldest_that_is_still_here_goes() {
        let lobby = lobby(|l| l.unproven_max = 2);
        let mut here: Vec<_> = Vec::new();
        let enter = || {
            let connection = connection();
            let guest = lobby.enter(&connection);
            (connection, guest)
        };
        here.extend([enter(), enter()]);
        let (proven, guest) = here.remove(0);
        drop(guest);
        here.extend([enter(), enter()]);
        assert_eq!(closed(&here), [true, false, false]);
        assert!(!proven.is_closed());
        assert_eq!(shed(&lobby, Shed::Unproven), 1);
        assert_eq!(lobby.guests.lock().all.len(), 2);
        here.clear();
        assert!(lobby.is_empty());
    }

    #[tokio::test]
    async fn one_address_sheds_its_own() {
        let lobby = lobby(|l| l.unproven_per_address_max = 2);
        let here: Vec<_> = [1, 2, 1, 1]
            .into_iter()
            .map(|number| {
                let connection = connection();
                let guest = lobby.enter(&connection);
                guest.is_from(ip(number));
                (connection, guest)
            })
            .collect();
        assert_eq!(closed(&here), [true, false, false, false]);
        assert_eq!(shed(&lobby, Shed::Address), 1);
        drop(here);
        assert!(lobby.guests.lock().of.is_empty(), "addresses are forgotten");
    }

    #[tokio::test]
    async fn what_is_more_than_free_is_counted_together_and_given_back() {
        let lobby = lobby(|l| l.unproven_bytes = 10_000);
        let (connection, other) = (connection(), connection());
        let (mut guest, mut second) = (lobby.enter(&connection), lobby.enter(&other));
        assert!(guest.holds(FREE_BYTES, &connection) && lobby.bytes.load(Ordering::Relaxed) == 0);
        assert!(guest.holds(FREE_BYTES + 9_000, &connection));
        assert!(second.holds(FREE_BYTES + 1_000, &other));
        assert!(!second.holds(FREE_BYTES + 1_001, &other));
        assert_eq!(shed(&lobby, Shed::Bytes), 1);
        drop(guest);
        assert!(second.holds(FREE_BYTES + 10_000, &other) && second.holds(0, &other));
        assert_eq!(lobby.bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_goes_first_and_who_proves_nothing_later() {
        let lobby = lobby(|l| (l.first_request_ms, l.login_ms) = (1_000, 3_000));
        let (silent, stranger) = (connection(), connection());
        let _guests = (lobby.enter(&silent), lobby.enter(&stranger));
        stranger.spoke();
        lobby.sweep();
        tokio::time::advance(Duration::from_secs(1)).await;
        lobby.sweep();
        assert!(silent.is_closed() && !stranger.is_closed());
        tokio::time::advance(Duration::from_secs(2)).await;
        lobby.sweep();
        assert!(stranger.is_closed());
        assert_eq!((shed(&lobby, Shed::FirstRequest), shed(&lobby, Shed::Login)), (1, 1));
    }
}
