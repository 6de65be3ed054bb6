//! What plugins were asked while a burst or a delivery went through the hooks, for its span.
//!
//! Whether there is a span is only known once the hooks have had their say, and their methods have no
//! room for what it shows of them. So whoever may make one opens [`Calls`] on its thread, plugins note
//! their calls there, and what was noted is read or forgotten. To note a call costs a copy: no
//! allocation, no lock, and no look at a clock beyond those for the plugin's own counters.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::time::Duration;

/// Calls that are noted at once; further ones are left out.
pub const CALLS_MAX: usize = 32;
/// Bytes of a plugin's name; those of bindings are not longer.
const NAME_MAX: usize = 64;

/// A plugin's name, as much of it as is kept.
#[derive(Clone, Copy, Debug)]
pub struct PluginName {
    bytes: [u8; NAME_MAX],
    len: u8,
}

impl PluginName {
    fn of(text: &str) -> Self {
        let text = text.split_at(text.floor_char_boundary(NAME_MAX)).0;
        let mut bytes = [0; NAME_MAX];
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Self { bytes, len: u8::try_from(text.len()).unwrap_or(0) }
    }
}

/// A call that a plugin got.
#[derive(Clone, Copy, Debug)]
pub struct PluginCall {
    /// The plugin.
    pub name: PluginName,
    /// The hook, as the contract names it.
    pub hook: &'static str,
    /// What the plugin said to it: `continue`, `change`, `refuse` or `fail`.
    pub verdict: &'static str,
    /// How it failed, if it did.
    pub failure: Option<&'static str>,
    /// Whether nothing comes of what it said.
    pub is_shadow: bool,
    /// How many messages it was shown.
    pub messages: usize,
    /// When it began, on the monotonic clock.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// The request of the burst that it was for; `None` for all of them.
    pub request: Option<usize>,
}

impl PluginCall {
    /// A call at `hook` of the plugin of this binding, which continued at once.
    #[must_use]
    pub fn new(plugin: &str, hook: &'static str) -> Self {
        Self {
            name: PluginName::of(plugin),
            hook,
            verdict: "continue",
            failure: None,
            is_shadow: false,
            messages: 1,
            began: Duration::ZERO,
            took: Duration::ZERO,
            request: None,
        }
    }

    /// The plugin's name.
    #[must_use]
    pub fn plugin(&self) -> &str {
        let PluginName { bytes, len } = &self.name;
        let name = bytes.get(..usize::from(*len)).map(std::str::from_utf8);
        name.and_then(Result::ok).unwrap_or_default()
    }

    /// Whether the request of this number is one that it was for.
    #[must_use]
    pub fn is_of(&self, request: usize) -> bool {
        self.request.is_none_or(|of| of == request)
    }
}

struct Log {
    is_open: bool,
    request: Option<usize>,
    /// Its memory stays with the thread.
    calls: Vec<PluginCall>,
}

thread_local! {
    static LOG: RefCell<Log> =
        const { RefCell::new(Log { is_open: false, request: None, calls: Vec::new() }) };
}

/// As long as there is one, the calls of plugins on this thread are noted.
pub struct Calls(PhantomData<*const ()>);

impl Calls {
    /// Begins to note.
    #[must_use]
    pub fn begin() -> Self {
        LOG.with_borrow_mut(|log| {
            log.calls.clear();
            log.calls.reserve_exact(CALLS_MAX);
            (log.is_open, log.request) = (true, None);
        });
        Self(PhantomData)
    }

    /// What follows is for this request of the burst, or for all of them.
    pub fn are_of(&self, request: Option<usize>) {
        LOG.with_borrow_mut(|log| log.request = request);
    }

    /// Looks at what was noted.
    pub fn read<T>(&self, read: impl FnOnce(&[PluginCall]) -> T) -> T {
        LOG.with_borrow(|log| read(&log.calls))
    }

    /// Whether one of them failed.
    #[must_use]
    pub fn has_failure(&self) -> bool {
        self.read(|calls| calls.iter().any(|call| call.failure.is_some()))
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        LOG.with_borrow_mut(|log| log.is_open = false);
    }
}

/// Notes a call that has ended, if anybody wants to know.
pub fn note(call: impl FnOnce() -> PluginCall) {
    LOG.with_borrow_mut(|log| {
        if log.is_open && log.calls.len() < CALLS_MAX {
            let request = log.request;
            log.calls.push(PluginCall { request, ..call() });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(calls: &Calls) -> Vec<(String, bool)> {
        calls.read(|all| all.iter().map(|c| (c.plugin().to_owned(), c.is_of(3))).collect())
    }

    #[test]
    fn calls_are_noted_while_somebody_wants_to_know() {
        note(|| unreachable!("nobody does"));
        let calls = Calls::begin();
        calls.are_of(Some(2));
        note(|| PluginCall::new("a", "authorize"));
        calls.are_of(None);
        note(|| PluginCall::new("b", "before-send"));
        assert_eq!(noted(&calls), [("a".to_owned(), false), ("b".to_owned(), true)]);
        assert!(!calls.has_failure());
        note(|| PluginCall { failure: Some("trap"), ..PluginCall::new("b", "before-send") });
        assert!(calls.has_failure());
        drop(calls);
        note(|| unreachable!("nobody does any more"));
        assert_eq!(noted(&Calls::begin()), [], "what was noted is forgotten");
    }

    #[test]
    fn calls_and_their_names_are_bounded() {
        let calls = Calls::begin();
        (0..100).for_each(|_| note(|| PluginCall::new(&"é".repeat(100), "authorize")));
        assert_eq!(calls.read(<[PluginCall]>::len), CALLS_MAX);
        assert_eq!(noted(&calls)[0].0, "é".repeat(32));
    }
}
