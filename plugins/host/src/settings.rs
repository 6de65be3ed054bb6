//! A binding's `config`, which may change while instances run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

/// The `config` in force, as JSON.
pub(crate) struct Settings {
    /// Looked at without the lock: whether an instance has another one.
    number: AtomicU64,
    json: RwLock<Arc<str>>,
}

impl Settings {
    pub(crate) fn new(json: &str) -> Self {
        Self { number: AtomicU64::new(0), json: RwLock::new(json.into()) }
    }

    /// The number of changes so far.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// The text in force, and its number.
    pub(crate) fn read(&self) -> (u64, Arc<str>) {
        let json = self.json.read();
        (self.number(), Arc::clone(&json))
    }

    /// Puts another text in force; gives its number.
    pub(crate) fn set(&self, json: &str) -> u64 {
        let mut text = self.json.write();
        *text = json.into();
        self.number.fetch_add(1, Ordering::AcqRel) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_its_number() {
        let settings = Settings::new("{}");
        assert_eq!(settings.read(), (0, "{}".into()));
        assert_eq!(settings.set("[]"), 1);
        assert_eq!(settings.read(), (1, "[]".into()));
    }
}
