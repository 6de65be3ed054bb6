//! Requests that wait, and are asked for anew.

use blockhouse_model::{Principal, RequestContext};

use super::{HookChain, Hooks};
use crate::{Point, Subject, Verdict};

/// Is told that requests which wait have to be asked for anew. Must not block.
pub type Watcher = Box<dyn Fn() + Send + Sync>;

impl HookChain {
    /// See [`Hook::reaffirm`](crate::Hook::reaffirm).
    #[must_use]
    pub fn reaffirm(&self, cx: &RequestContext) -> Verdict {
        let name = match &cx.principal {
            Principal::User(name) | Principal::Plugin(name) => name,
            Principal::Anonymous => "",
        };
        self.ask(Point::Authenticate, Subject::Authenticate(cx, name), |h| h.reaffirm(cx))
    }
}

impl Hooks {
    /// Has `watcher` told whenever what was allowed may not be any more.
    pub fn watch(&self, watcher: Watcher) {
        self.watchers.lock().push(watcher);
    }

    /// What was allowed may not be any more: users, policies or plugins have changed. Whoever keeps requests waiting
    /// asks anew for each.
    pub fn ask_again(&self) {
        self.watchers.lock().iter().for_each(|watcher| watcher());
    }
}
