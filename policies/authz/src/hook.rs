//! The policies in force, as the hook that is asked before anything is done.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use blockhouse_hook::{Hook, Point, Points, Rejection, Verdict, Watcher};
use blockhouse_meter::Cells;
use blockhouse_model::{Access, Clock, Principal, RequestContext};

use crate::condition::{Channel, Circumstances};
use crate::policies::Policies;
use crate::words::{Ask, Who};

/// Tells whether a user may do everything.
pub type SuperUsers = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// All that a client is told.
const REFUSAL: &str =
    "the policies of this node do not allow it; its operators can say which rule decides";

/// A set, and the change that put it in force.
pub(crate) struct InForce {
    pub(crate) generation: u64,
    pub(crate) policies: Policies,
}

/// The hook.
pub struct Authorizer {
    set: ArcSwap<InForce>,
    is_super: SuperUsers,
    clock: Arc<dyn Clock>,
    /// Told when another set has come into force.
    changed: OnceLock<Watcher>,
    /// Allowed, denied, not asked since the user is a super user.
    decisions: Cells<3>,
}

impl Authorizer {
    pub(crate) fn new(first: InForce, is_super: SuperUsers, clock: Arc<dyn Clock>) -> Self {
        let set = ArcSwap::from_pointee(first);
        let (changed, decisions) = (OnceLock::new(), Cells::default());
        Self { set, is_super, clock, changed, decisions }
    }

    /// Has `watcher` told whenever another set has come into force; the first one stays.
    pub fn when_changed(&self, watcher: Watcher) {
        let _first_stays = self.changed.set(watcher);
    }

    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.set.load_full()
    }

    /// For everything that begins from now on.
    pub(crate) fn put_in_force(&self, set: InForce) {
        self.set.store(Arc::new(set));
        if let Some(changed) = self.changed.get() {
            changed();
        }
    }

    /// Requests that were allowed, that were denied, and those of super users.
    #[must_use]
    pub fn decisions(&self) -> [u64; 3] {
        self.decisions.read()
    }

    fn denied(
        &self,
        set: &InForce,
        cx: &RequestContext,
        accesses: &[Access<'_>],
    ) -> Option<String> {
        let who = Who::of(&cx.principal);
        let index = set.policies.index();
        let subject = index.subject(who);
        let at = Circumstances::at(self.clock.now(), cx.peer.ip(), channel(cx));
        for access in accesses {
            let ask = Ask::of(access);
            let deciding = index.deciding(subject, &ask, &at);
            if deciding.is_some_and(|entry| !entry.deny) {
                continue;
            }
            let by =
                deciding.map_or("no rule".to_owned(), |entry| index.rule(entry.at).to_string());
            let (action, resource) = (ask.action.name(), ask.resource());
            return Some(format!("{who}: {action} {resource}: denied by {by}"));
        }
        None
    }
}

const fn channel(cx: &RequestContext) -> Channel {
    match (cx.secure, &cx.certificate) {
        (false, _) => Channel::Plain,
        (true, None) => Channel::Tls,
        (true, Some(_)) => Channel::Mtls,
    }
}

impl Hook for Authorizer {
    fn name(&self) -> &'static str {
        "authz"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authorize)
    }

    fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        if let Principal::User(name) = &cx.principal
            && (self.is_super)(name)
        {
            self.decisions.add([0, 0, 1]);
            return Verdict::Continue;
        }
        match self.denied(&self.set.load(), cx, accesses) {
            None => {
                self.decisions.add([1, 0, 0]);
                Verdict::Continue
            }
            Some(detail) => {
                self.decisions.add([0, 1, 0]);
                tracing::debug!(peer = %cx.peer, code = cx.code, "{detail}");
                Verdict::Reject(Rejection::new(REFUSAL).with_detail(detail))
            }
        }
    }
}
