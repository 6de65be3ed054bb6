//! Who guesses passwords waits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use blockhouse_model::Clock;
use parking_lot::Mutex;

/// Wrong passwords from one address, after which it waits.
const FAILURES_MAX: u32 = 10;
/// Within this time, and for as long.
const WINDOW: Duration = Duration::from_mins(1);
/// Most addresses that are remembered.
const ADDRESSES_MAX: usize = 4_096;

/// Wrong passwords by address.
pub(crate) struct Failures {
    clock: Arc<dyn Clock>,
    table: Mutex<HashMap<IpAddr, (u32, Duration)>>,
}

impl Failures {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, table: Mutex::default() }
    }

    /// How long this address has to wait before another password of its is looked at.
    pub(crate) fn wait(&self, ip: IpAddr) -> Option<Duration> {
        let now = self.clock.monotonic();
        let (count, since) = self.table.lock().get(&network(ip)).copied()?;
        let over = since + WINDOW;
        (count >= FAILURES_MAX && now < over).then(|| over.saturating_sub(now))
    }

    pub(crate) fn add(&self, ip: IpAddr) {
        let now = self.clock.monotonic();
        let mut table = self.table.lock();
        if table.len() >= ADDRESSES_MAX {
            table.retain(|_, (_, since)| now < *since + WINDOW);
        }
        if table.len() >= ADDRESSES_MAX {
            // Whoever has so many addresses is not held up by this; others are not to be either.
            table.clear();
        }
        let entry = table.entry(network(ip)).or_insert((0, now));
        if now >= entry.1 + WINDOW {
            *entry = (0, now);
        }
        entry.0 += 1;
    }
}

/// One of IPv6 counts by its network: a host has as many addresses there as it likes.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_model::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn an_address_waits_after_ten_wrong_passwords_and_others_do_not() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let failures = Failures::new(Arc::clone(&clock) as _);
        let [guesser, beside, other]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|ip| ip.parse().unwrap());
        for _ in 0..9 {
            failures.add(guesser);
        }
        assert_eq!(failures.wait(guesser), None);
        clock.advance(Duration::from_secs(20));
        failures.add(beside);
        assert_eq!(failures.wait(guesser), Some(Duration::from_secs(40)));
        assert_eq!((failures.wait(beside).is_some(), failures.wait(other)), (true, None));
        clock.advance(Duration::from_secs(40));
        assert_eq!(failures.wait(guesser), None);
        failures.add(guesser);
        assert_eq!(failures.wait(guesser), None, "it begins anew");
    }

    #[test]
    fn the_table_has_an_end() {
        let failures = Failures::new(Arc::new(ManualClock::at(Timestamp(0))));
        for n in 0..20_000_u32 {
            failures.add(std::net::Ipv4Addr::from_bits(n).into());
            assert!(failures.table.lock().len() <= ADDRESSES_MAX);
        }
    }
}
