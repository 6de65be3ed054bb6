//! The policies in force, as the hook that is asked before anything is done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use blockhouse_hook::{Decision, Draft, Hook, Hooks, Point, Points, Rejection, Verdict, Watcher};
use blockhouse_meter::Cells;
use blockhouse_model::{
    Access, Action, Clock, Principal, RequestContext, Resource, Timestamp, names,
};

use crate::condition::{Channel, Circumstances, Message, Sight};
use crate::policies::Policies;
use crate::words::{Ask, Who};

/// Tells whether a user may do everything.
pub type SuperUsers = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Its name in logs and audit.
const NAME: &str = "authz";
/// All that a client is told.
const REFUSAL: &str =
    "the policies of this node do not allow it; its operators can say which rule decides";

/// A set, and the change that put it in force.
pub(crate) struct InForce {
    pub(crate) generation: u64,
    pub(crate) policies: Policies,
    /// Whether a rule asks for the time: only then each decision reads the clock.
    asks_for_time: bool,
}

impl InForce {
    pub(crate) fn new(generation: u64, policies: Policies) -> Self {
        let asks_for_time = policies.index().asks_for_time();
        Self { generation, policies, asks_for_time }
    }
}

/// Decides by the set in force.
struct Decider {
    set: ArcSwap<InForce>,
    is_super: SuperUsers,
    clock: Arc<dyn Clock>,
    /// Allowed, denied, not asked since the user is a super user.
    decisions: Cells<3>,
}

/// The hook. While a rule asks for messages, [`WithMessages`] stands in for it.
pub struct Authorizer {
    decider: Arc<Decider>,
    sees_messages: AtomicBool,
    /// Where it stands, told when it is to see messages, or no longer.
    hooks: OnceLock<Weak<Hooks>>,
    /// Told when another set has come into force.
    changed: OnceLock<Watcher>,
}

/// The hook that is also asked before messages are stored: by what a request says of itself it refuses only
/// what no message could make allowed, and then each message by all there is.
struct WithMessages(Arc<Decider>);

impl Authorizer {
    pub(crate) fn new(first: InForce, is_super: SuperUsers, clock: Arc<dyn Clock>) -> Self {
        let sees_messages = AtomicBool::new(first.policies.index().asks_for_messages());
        let (set, decisions) = (ArcSwap::from_pointee(first), Cells::default());
        let decider = Arc::new(Decider { set, is_super, clock, decisions });
        Self { decider, sees_messages, hooks: OnceLock::new(), changed: OnceLock::new() }
    }

    /// Has `watcher` told whenever another set has come into force; the first one stays.
    pub fn when_changed(&self, watcher: Watcher) {
        let _first_stays = self.changed.set(watcher);
    }

    /// Tells it where it stands; the first place stays. Without one, a set that comes into force later and asks
    /// for messages allows none that its rules tell apart.
    pub fn stand_in(&self, hooks: &Arc<Hooks>) {
        let _first_stays = self.hooks.set(Arc::downgrade(hooks));
    }

    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.decider.set.load_full()
    }

    /// For everything that begins from now on. What begins before the set is in force, and goes on under it,
    /// has messages looked at, or is refused where that would matter.
    pub(crate) fn put_in_force(&self, set: InForce) {
        let asks = set.policies.index().asks_for_messages();
        if asks {
            self.see_messages(true);
        }
        self.decider.set.store(Arc::new(set));
        if !asks {
            self.see_messages(false);
        }
        if let Some(changed) = self.changed.get() {
            changed();
        }
    }

    fn see_messages(&self, sees: bool) {
        if self.sees_messages.swap(sees, Ordering::SeqCst) != sees
            && let Some(hooks) = self.hooks.get().and_then(Weak::upgrade)
        {
            hooks.renew();
        }
    }

    /// Requests that were allowed, that were denied, and those of super users. A message that is refused after
    /// its request was allowed counts as denied, too.
    #[must_use]
    pub fn decisions(&self) -> [u64; 3] {
        self.decider.decisions.read()
    }
}

impl Decider {
    fn is_super(&self, cx: &RequestContext) -> bool {
        matches!(&cx.principal, Principal::User(name) if (self.is_super)(name))
    }

    fn at(&self, set: &InForce, cx: &RequestContext) -> Circumstances {
        let now = if set.asks_for_time { self.clock.now() } else { Timestamp::default() };
        Circumstances::at(now, cx.peer.ip(), channel(cx))
    }

    fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>], sight: Sight<'_>) -> Verdict {
        if self.is_super(cx) {
            self.decisions.add([0, 0, 1]);
            return Verdict::Continue;
        }
        let set = self.set.load();
        let at = self.at(&set, cx);
        let denied = accesses.iter().find_map(|access| denied(&set, cx, access, (&at, sight)));
        match denied {
            None => {
                self.decisions.add([1, 0, 0]);
                Verdict::Continue
            }
            Some(detail) => Verdict::Reject(self.refused(cx, detail)),
        }
    }

    fn may(&self, cx: &RequestContext, accesses: &[Access<'_>], sight: Sight<'_>) -> bool {
        let set = self.set.load();
        let at = self.at(&set, cx);
        let may = |access| denied(&set, cx, access, (&at, sight)).is_none();
        self.is_super(cx) || accesses.iter().all(may)
    }

    fn refused(&self, cx: &RequestContext, detail: String) -> Rejection {
        self.decisions.add([0, 1, 0]);
        tracing::debug!(peer = %cx.peer, code = cx.code, "{detail}");
        Rejection::new(REFUSAL).with_detail(detail)
    }

    /// Why a message is refused.
    fn refused_message(
        &self,
        set: &InForce,
        cx: &RequestContext,
        at: &Circumstances,
        draft: &Draft<'_>,
    ) -> Option<Rejection> {
        // A retry topic is its group's, and to send to it is `Sub`.
        if names::is_retry(draft.topic) {
            return None;
        }
        let message = Message::of(&draft.properties, &draft.body);
        let access = Access { action: Action::Pub, resource: Resource::Topic(draft.topic) };
        let detail = denied(set, cx, &access, (at, Sight::Seen(&message)))?;
        let Message { mtype, size, tag } = message;
        let mtype = mtype.name();
        Some(self.refused(cx, format!("{detail}: {mtype}, {size} bytes, tag {tag:?}")))
    }
}

/// Why it may not be done.
fn denied(
    set: &InForce,
    cx: &RequestContext,
    access: &Access<'_>,
    circumstances: (&Circumstances, Sight<'_>),
) -> Option<String> {
    let (who, index, ask) = (Who::of(&cx.principal), set.policies.index(), Ask::of(access));
    let deciding = index.deciding(index.subject(who), &ask, circumstances);
    if deciding.is_some_and(|entry| !entry.deny) {
        return None;
    }
    let by = deciding.map_or("no rule".to_owned(), |entry| index.rule(entry.at).to_string());
    let (action, resource) = (ask.action.name(), ask.resource());
    Some(format!("{who}: {action} {resource}: denied by {by}"))
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
        NAME
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authorize)
    }

    fn decides_who_may(&self) -> bool {
        true
    }

    fn stand_in(&self) -> Option<Arc<dyn Hook>> {
        let sees = self.sees_messages.load(Ordering::SeqCst);
        sees.then(|| Arc::new(WithMessages(Arc::clone(&self.decider))) as Arc<dyn Hook>)
    }

    fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        self.decider.authorize(cx, accesses, Sight::Never)
    }

    fn may(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> bool {
        self.decider.may(cx, accesses, Sight::Never)
    }
}

impl Hook for WithMessages {
    fn name(&self) -> &'static str {
        NAME
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authorize).with(Point::BeforeSend)
    }

    fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        self.0.authorize(cx, accesses, Sight::Later)
    }

    fn may(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> bool {
        self.0.may(cx, accesses, Sight::Later)
    }

    fn before_send(&self, cx: &RequestContext, messages: &mut [Draft<'_>]) {
        if self.0.is_super(cx) {
            return;
        }
        let set = self.0.set.load();
        let at = self.0.at(&set, cx);
        for message in messages {
            if let Some(rejection) = self.0.refused_message(&set, cx, &at, message) {
                message.decision = Decision::Reject(rejection);
            }
        }
    }

    fn rerouted(&self, cx: &RequestContext, message: &Draft<'_>) -> Verdict {
        if self.0.is_super(cx) {
            return Verdict::Continue;
        }
        let set = self.0.set.load();
        let at = self.0.at(&set, cx);
        let rejection = self.0.refused_message(&set, cx, &at, message);
        rejection.map_or(Verdict::Continue, Verdict::Reject)
    }
}
