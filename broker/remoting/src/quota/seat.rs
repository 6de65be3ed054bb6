//! What each user holds at once: connections, and requests that are not answered yet.
//!
//! A connection takes its seat with the first request of its user and keeps it to its end, so that later requests find
//! what is counted without a look into the table. There are as many entries as there are users with a connection, or with
//! a request that is not answered yet: a connection that has gone over to another user may still owe the first one answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use blockhouse_meter::QuotaKind;
use blockhouse_model::Principal;
use blockhouse_transport::Connection;
use parking_lot::Mutex;

use super::config::Numbers;

/// Users who hold something.
#[derive(Debug, Default)]
pub(super) struct Seats {
    users: Mutex<HashMap<Principal, Weak<User>>>,
}

/// What one user holds, on all connections together. Whatever is held has it: it goes with the last of that.
#[derive(Debug)]
struct User {
    seats: Arc<Seats>,
    principal: Principal,
    numbers: Numbers,
    connections: AtomicU64,
    in_flight: AtomicU64,
}

/// A connection of a user that is bounded.
#[derive(Debug)]
pub(crate) struct Seat {
    user: Arc<User>,
    is_left: AtomicBool,
}

/// Requests of a user, until they are answered.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<User>, u64);

/// There are as many as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) kind: QuotaKind,
    max: u64,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, max) = (self.kind.name(), self.max);
        write!(f, "the quota of {kind} of this user is used up: there are {max} already")
    }
}

impl Seats {
    /// The seat of a connection as this user.
    ///
    /// # Errors
    /// The user has as many connections as there may be.
    pub(super) fn of(
        self: &Arc<Self>,
        connection: &Connection,
        principal: &Principal,
        numbers: Numbers,
    ) -> Result<Arc<Seat>, Full> {
        let taken = connection.kept().and_then(|kept| kept.downcast::<Seat>().ok());
        if let Some(seat) = taken {
            if seat.user.principal == *principal {
                return Ok(seat);
            }
            // Whoever had said nothing of himself has a name now.
            seat.leave();
        }
        let seat = Arc::new(self.take(principal, numbers)?);
        connection.keep(Arc::clone(&seat) as _);
        Ok(seat)
    }

    fn take(self: &Arc<Self>, principal: &Principal, numbers: Numbers) -> Result<Seat, Full> {
        let mut users = self.users.lock();
        let user = users.get(principal).and_then(Weak::upgrade).unwrap_or_else(|| {
            let user = Arc::new(User {
                seats: Arc::clone(self),
                principal: principal.clone(),
                numbers,
                connections: AtomicU64::new(0),
                in_flight: AtomicU64::new(0),
            });
            users.insert(principal.clone(), Arc::downgrade(&user));
            user
        });
        let max = numbers.connections;
        let is_full = max > 0 && user.connections.load(Relaxed) >= max;
        if !is_full {
            user.connections.fetch_add(1, Relaxed);
        }
        // Before the user, who may be the last one here now, and takes the lock to go.
        drop(users);
        if is_full {
            return Err(Full { kind: QuotaKind::Connections, max });
        }
        Ok(Seat { user, is_left: AtomicBool::new(false) })
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut users = self.seats.users.lock();
        // Meanwhile there may be another one of that name.
        if users.get(&self.principal).is_some_and(|user| user.strong_count() == 0) {
            users.remove(&self.principal);
        }
    }
}

impl Seat {
    /// The connection has ended. Once.
    pub(crate) fn leave(&self) {
        if !self.is_left.swap(true, Relaxed) {
            self.user.connections.fetch_sub(1, Relaxed);
        }
    }

    /// Takes up to so many requests in.
    ///
    /// # Errors
    /// Not one more may be taken in.
    pub(crate) fn begin(&self, wanted: u64) -> Result<InFlight, Full> {
        let max = self.user.numbers.in_flight;
        let limit = if max == 0 { u64::MAX } else { max };
        let mut got = 0;
        let add = |now: u64| {
            got = wanted.min(limit.saturating_sub(now));
            (got > 0).then_some(now + got)
        };
        match self.user.in_flight.fetch_update(Relaxed, Relaxed, add) {
            Ok(_) => Ok(InFlight(Arc::clone(&self.user), got)),
            Err(_) => Err(Full { kind: QuotaKind::InFlight, max }),
        }
    }

    /// Why no more than these were taken in.
    pub(crate) fn full(&self) -> Full {
        Full { kind: QuotaKind::InFlight, max: self.user.numbers.in_flight }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

impl InFlight {
    /// How many.
    pub(crate) const fn count(&self) -> u64 {
        self.1
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(self.1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn most(connections: u64, in_flight: u64) -> Numbers {
        Numbers { connections, in_flight }
    }

    fn connection() -> Arc<Connection> {
        let any = ([127, 0, 0, 1], 1).into();
        Connection::detached(any, any)
    }

    #[test]
    fn a_user_has_as_many_connections_as_may_be_and_what_ends_makes_room() {
        let seats = Arc::<Seats>::default();
        let alice = Principal::User("alice".into());
        let all: Vec<_> = (0..3).map(|_| connection()).collect();
        let of = |at: usize, who: &Principal| seats.of(&all[at], who, most(2, 0));
        let first = of(0, &alice).unwrap();
        assert!(Arc::ptr_eq(&first, &of(0, &alice).unwrap()), "one connection, one seat");
        of(1, &alice).unwrap();
        let full = of(2, &alice).unwrap_err();
        let told = "the quota of connections of this user is used up: there are 2 already";
        assert_eq!((full.kind, full.to_string().as_str()), (QuotaKind::Connections, told));
        assert!(of(2, &Principal::User("bob".into())).is_ok(), "another's is another's");
        first.leave();
        first.leave();
        // Who was bob has another name now, and bob's seat is free.
        of(2, &alice).unwrap();
        assert!(seats.of(&connection(), &alice, most(2, 0)).is_err(), "it left once");
        assert_eq!(seats.users.lock().len(), 1, "who has no connection has no entry");
        drop(all);
        drop(first);
        assert!(seats.users.lock().is_empty());
    }

    #[test]
    fn requests_are_counted_until_they_are_answered_over_all_connections() {
        let seats = Arc::<Seats>::default();
        let alice = Principal::User("alice".into());
        let (one, other) = (connection(), connection());
        let one = seats.of(&one, &alice, most(0, 3)).unwrap();
        let other = seats.of(&other, &alice, most(0, 3)).unwrap();
        let two = one.begin(2).unwrap();
        let last = other.begin(5).unwrap();
        assert_eq!((two.count(), last.count()), (2, 1));
        let full = one.begin(1).unwrap_err();
        assert_eq!(full.to_string(), other.full().to_string());
        assert!(
            full.to_string().contains("in_flight of this user is used up: there are 3"),
            "{full}"
        );
        drop(two);
        assert_eq!(other.begin(5).unwrap().count(), 2);
    }

    #[test]
    fn what_is_in_flight_counts_after_the_connection_has_gone_over_to_another_user() {
        let seats = Arc::<Seats>::default();
        let [alice, bob] = ["alice", "bob"].map(|name| Principal::User(name.into()));
        let connection = connection();
        let of = |who: &Principal| seats.of(&connection, who, most(1, 2)).unwrap();
        let first = of(&alice).begin(2).unwrap();
        of(&bob);
        // With the first of them there is room for the connection, and none for requests.
        assert!(of(&alice).begin(1).is_err());
        of(&bob);
        drop(first);
        assert_eq!(seats.users.lock().len(), 1, "who has nothing left has no entry");
        assert_eq!(of(&alice).begin(5).unwrap().count(), 2);
    }
}
