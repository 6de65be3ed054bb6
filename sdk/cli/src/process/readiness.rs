//! Whether the process can serve.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use blockhouse_ops::{Check, Complaint};
use blockhouse_registrar::State;
use blockhouse_store::Fault;

use super::stall::Pulse;

/// Tells what is wrong with the store.
type Faults = Box<dyn Fn() -> Vec<Fault> + Send + Sync>;

/// Tells which files of topics, groups and offsets cannot be written, and why.
type Unsaved = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// Tells what is not as it might be expected though all is well.
type Notes = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// Tells why the audit log cannot be written.
type AuditTrouble = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// What has to be true before clients should be sent here.
#[derive(Default)]
pub(super) struct Readiness {
    all_up: AtomicBool,
    registered: OnceLock<Arc<State>>,
    faults: OnceLock<Faults>,
    unsaved: OnceLock<Unsaved>,
    plugins: OnceLock<Notes>,
    audit: OnceLock<AuditTrouble>,
    threads: OnceLock<Arc<Pulse>>,
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

    /// There is a store, and this says what is wrong with it.
    pub(super) fn watch_store(&self, faults: Faults) {
        self.faults.get_or_init(|| faults);
    }

    /// There is metadata, and this says what of it cannot be saved.
    pub(super) fn watch_metadata(&self, unsaved: Unsaved) {
        self.unsaved.get_or_init(|| unsaved);
    }

    /// There is an audit log, and this says what keeps it from being written.
    pub(super) fn watch_audit(&self, audit: AuditTrouble) {
        self.audit.get_or_init(|| audit);
    }

    /// There are plugins, and this says which of them were taken out.
    pub(super) fn watch_plugins(&self, plugins: Notes) {
        self.plugins.get_or_init(|| plugins);
    }

    /// There are threads that serve, and this says whether they get on.
    pub(super) fn watch_threads(&self, threads: Arc<Pulse>) {
        self.threads.get_or_init(|| threads);
    }

    /// What is not as it might be expected though all is well.
    pub(super) fn notes(&self) -> Vec<String> {
        self.plugins.get().map(|plugins| plugins()).unwrap_or_default()
    }

    pub(super) fn checks(self: &Arc<Self>) -> Vec<Check> {
        let (parts, registrar, store) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        let threads = Arc::clone(self);
        let get_on = move || threads.threads.get().map_or(Ok(()), |pulse| pulse.check());
        vec![
            Check { name: "process", ready: Box::new(move || parts.parts()) },
            Check { name: "registrar", ready: Box::new(move || registrar.registrar()) },
            Check { name: "store", ready: Box::new(move || store.store()) },
            Check { name: "threads", ready: Box::new(get_on) },
        ]
    }

    fn parts(&self) -> Result<(), String> {
        if self.all_up.load(Ordering::SeqCst) { Ok(()) } else { Err("starting".to_owned()) }
    }

    /// All that is wrong with store and metadata, whether or not messages can still be taken.
    pub(super) fn complaints(&self) -> Vec<Complaint> {
        let text = |fault: &Fault| {
            let sends = if fault.refuses { " (sends are refused)" } else { "" };
            format!("store: {}{sends}", fault.text)
        };
        let faults = self.faults();
        let store = faults.iter().map(|f| Complaint { text: text(f), lasting: f.lasting });
        let unsaved = self.unsaved.get().map(|unsaved| unsaved()).unwrap_or_default();
        let metadata = unsaved.into_iter().map(|why| {
            let text = format!("metadata: {why} (changes are only in memory)");
            Complaint { text, lasting: false }
        });
        let audit = self.audit.get().and_then(|audit| audit()).map(|why| {
            let text = format!("audit: {why} (admin commands are refused)");
            Complaint { text, lasting: false }
        });
        store.chain(metadata).chain(audit).collect()
    }

    fn faults(&self) -> Vec<Fault> {
        self.faults.get().map(|faults| faults()).unwrap_or_default()
    }

    fn store(&self) -> Result<(), String> {
        let refusing = self.faults().into_iter().filter(|fault| fault.refuses);
        let reasons: Vec<String> = refusing.map(|fault| fault.text).collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(format!("sends are refused: {}", reasons.join("; ")))
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
