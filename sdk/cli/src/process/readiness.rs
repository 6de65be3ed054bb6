//! Whether the process can serve.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use blockhouse_ops::Check;
use blockhouse_registrar::State;

/// What has to be true before clients should be sent here.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    all_up: AtomicBool,
    registered: OnceLock<Arc<State>>,
}

impl Readiness {
    /// All parts run.
    pub(super) fn all_up(&self) {
        self.all_up.store(true, Ordering::SeqCst);
    }

    /// There is a broker, and this says which name servers know it.
    pub(super) fn watch(&self, registered: Arc<State>) {
        self.registered.get_or_init(|| registered);
    }

    pub(super) fn checks(self: &Arc<Self>) -> Vec<Check> {
        let (parts, registrar) = (Arc::clone(self), Arc::clone(self));
        vec![
            Check { name: "process", ready: Box::new(move || parts.parts()) },
            Check { name: "registrar", ready: Box::new(move || registrar.registrar()) },
        ]
    }

    fn parts(&self) -> Result<(), String> {
        if self.all_up.load(Ordering::SeqCst) { Ok(()) } else { Err("starting".to_owned()) }
    }

    fn registrar(&self) -> Result<(), String> {
        match self.registered.get() {
            Some(state) if state.reached() == 0 && !state.name_servers().is_empty() => {
                let names: Vec<_> = state.name_servers().into_keys().collect();
                Err(format!("no name server has accepted this broker yet: {}", names.join(", ")))
            }
            _ => Ok(()),
        }
    }
}
