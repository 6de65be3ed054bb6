//! Whose topics there are, and how many each user may make.
//!
//! Who made a topic is a field of its entry in `topics.json`, beside those that only Java brokers know: they read past it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::Value;

use crate::{Error, Extra};

/// The field of an entry that says who made the topic.
const FIELD: &str = "blockhouseOwner";

/// How many topics may be whose; 0 is no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicShares {
    /// Of each user that is not named.
    pub each: u64,
    /// Of those that are, as `user:NAME`.
    pub of: HashMap<String, u64>,
}

#[derive(Debug)]
pub(super) struct Owners {
    shares: TopicShares,
    made: Mutex<HashMap<String, u64>>,
    refused: AtomicU64,
}

impl Owners {
    pub(super) fn new(shares: TopicShares) -> Self {
        Self { shares, made: Mutex::default(), refused: AtomicU64::new(0) }
    }

    /// How many found their share used up.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether one more may be theirs. Whoever asks holds the lock of changes until it is there.
    pub(super) fn check(&self, owner: Option<&str>) -> Result<(), Error> {
        let Some(owner) = owner else { return Ok(()) };
        let max = self.shares.of.get(owner).copied().unwrap_or(self.shares.each);
        if max == 0 || self.made.lock().get(owner).copied().unwrap_or(0) < max {
            return Ok(());
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(Error::Share { owner: owner.to_owned(), max })
    }

    /// A topic is there.
    pub(super) fn took(&self, extra: &Extra) {
        if let Some(owner) = extra.text(FIELD) {
            *self.made.lock().entry(owner.to_owned()).or_default() += 1;
        }
    }

    /// A topic is gone.
    pub(super) fn freed(&self, extra: &Extra) {
        let Some(owner) = extra.text(FIELD) else { return };
        let mut made = self.made.lock();
        if let Some(count) = made.get_mut(owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                made.remove(owner);
            }
        }
    }
}

/// The entry's fields, with whose it is.
pub(super) fn owned(mut extra: Extra, owner: Option<&str>) -> Arc<Extra> {
    if let Some(owner) = owner {
        extra.0.insert(FIELD.to_owned(), Value::from(owner));
    }
    Arc::new(extra)
}
