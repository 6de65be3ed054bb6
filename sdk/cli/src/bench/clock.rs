//! The clock of the load generator: the one place of this crate that reads the machine's clocks.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

struct Base {
    monotonic: Instant,
    wall_ms: u64,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "a load generator measures real time")]
        let (monotonic, wall) = (Instant::now(), SystemTime::now());
        let wall_ms = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Base { monotonic, wall_ms: u64::try_from(wall_ms.as_millis()).unwrap_or(0) }
    })
}

/// Nanoseconds since the first call, never backwards.
pub(crate) fn now() -> u64 {
    u64::try_from(base().monotonic.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The wall-clock milliseconds at `now`.
pub(crate) fn wall_ms(now: u64) -> u64 {
    base().wall_ms + now / 1_000_000
}

/// A number that this run of the generator has for itself.
pub(crate) fn run() -> u64 {
    base().wall_ms << 16 | u64::from(std::process::id() & 0xFFFF)
}
