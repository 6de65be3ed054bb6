//! Whether the last attempt to save something failed.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::Error;

/// How the last attempt went. Noting that one more went well costs one atomic load.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    failed: AtomicBool,
    text: Mutex<Option<String>>,
}

impl Failure {
    /// Keeps what an attempt says, and hands it on.
    pub(crate) fn note<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() || self.failed.load(Ordering::Acquire) {
            let mut text = self.text.lock();
            *text = result.as_ref().err().map(Error::to_string);
            self.failed.store(text.is_some(), Ordering::Release);
        }
        result
    }

    /// Why the last attempt failed, if it did. Waits for no disk.
    pub(crate) fn text(&self) -> Option<String> {
        self.text.lock().clone()
    }
}
