//! How much is tried, and where seeds begin.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::OnceLock;

#[expect(clippy::disallowed_methods, reason = "how much is tested is set from outside")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(super) fn images_wanted() -> usize {
    let set = variable("BLOCKHOUSE_CRASH_IMAGES");
    set.and_then(|n| n.parse().ok()).unwrap_or(10_000)
}

/// Where seeds begin: those that were always tried, and those of this run.
pub(super) fn beginnings() -> [u64; 2] {
    [0, base()]
}

/// The same for the whole run; far from those that are always tried, unless someone set it.
fn base() -> u64 {
    static BASE: OnceLock<u64> = OnceLock::new();
    *BASE.get_or_init(|| {
        let set = variable("BLOCKHOUSE_CRASH_BASE");
        // 32 bits: seeds are multiplied, and must be told apart by people.
        let set = set.map(|n| u64::from(n.parse::<u32>().unwrap()));
        let base = set.unwrap_or_else(|| 1_000_000 + (RandomState::new().hash_one(0) >> 40));
        // What a test prints is dropped if it passes.
        let told = format!("BLOCKHOUSE_CRASH_BASE={base}\n");
        std::io::stderr().write_all(told.as_bytes()).unwrap();
        base
    })
}
