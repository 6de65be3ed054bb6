//! All hooks in order, cut into a slice per point.

mod recorded;
mod waiting;
mod watch;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use blockhouse_model::{Access, Principal, RequestContext};
use parking_lot::Mutex;

use crate::audit::{Auditor, Decided, Outcome, Subject};
use crate::{
    Ack, AdminCommand, Appended, BrokerRegistration, ConnectionInfo, Credentials, Decision,
    Delivery, Draft, Hook, Identity, Lifecycle, Outbound, Point, Pull, Rejection, RouteEntry,
    SpanRecord, Verdict,
};
pub use recorded::Announced;
pub use waiting::Watcher;
use watch::{Deliveries, Drafts, of_rejection, route_change};

type Subscribers = Box<[Arc<dyn Hook>]>;

/// An immutable, ordered set of hooks.
#[derive(Clone)]
pub struct HookChain {
    by_point: [Subscribers; Point::ALL.len()],
    all: Subscribers,
    wants_client_id: bool,
    decides_who_may: bool,
    /// There if one of the hooks is an audit sink, and the chain is in force on a node.
    auditor: Option<Arc<Auditor>>,
}

impl HookChain {
    /// A chain that calls `hooks` in the order given.
    #[must_use]
    pub fn new(hooks: &[Arc<dyn Hook>]) -> Self {
        let standing: Vec<Arc<dyn Hook>> =
            hooks.iter().map(|hook| hook.stand_in().unwrap_or_else(|| Arc::clone(hook))).collect();
        let by_point = Point::ALL
            .map(|point| standing.iter().filter(|h| h.points().has(point)).cloned().collect());
        let wants_client_id = hooks.iter().any(|hook| hook.wants_client_id());
        let decides_who_may = hooks.iter().any(|hook| hook.decides_who_may());
        Self { by_point, all: hooks.into(), wants_client_id, decides_who_may, auditor: None }
    }

    /// The same chain, which tells its decisions through `auditor` to the sinks that are in it.
    /// [`Hooks`] does this for a chain that it puts in force.
    #[must_use]
    pub fn audited(mut self, auditor: &Arc<Auditor>) -> Self {
        let sinks = self.at(Point::AuditSink);
        auditor.listen(sinks);
        self.auditor = (!sinks.is_empty()).then(|| Arc::clone(auditor));
        self
    }

    /// All its hooks, in their order: what another chain is made of.
    #[must_use]
    pub fn hooks(&self) -> &[Arc<dyn Hook>] {
        &self.all
    }

    fn at(&self, point: Point) -> &[Arc<dyn Hook>] {
        &self.by_point[point as usize]
    }

    /// Whether anyone listens at `point`. Callers ask before they build what a hook would see. What an
    /// audit sink is told although no hook objects has a listener wherever there is a sink.
    #[must_use]
    pub fn has(&self, point: Point) -> bool {
        let is_told = matches!(
            point,
            Point::ConnectionOpened
                | Point::ConnectionClosed
                | Point::AdminCommand
                | Point::BrokerRegistration
        );
        !self.at(point).is_empty() || (is_told && self.auditor.is_some())
    }

    /// Whether there is no hook at all: then nobody looks at a request's context.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether a hook sees the client's id.
    #[must_use]
    pub const fn wants_client_id(&self) -> bool {
        self.wants_client_id
    }

    /// Whether policies are in force: a hook at [`Point::Authorize`] alone is none, see [`Hook::decides_who_may`].
    #[must_use]
    pub const fn decides_who_may(&self) -> bool {
        self.decides_who_may
    }

    fn ask(
        &self,
        point: Point,
        subject: Subject<'_>,
        mut ask: impl FnMut(&dyn Hook) -> Verdict,
    ) -> Verdict {
        for hook in self.at(point) {
            if let Verdict::Reject(rejection) = ask(hook.as_ref()) {
                self.refused(subject, hook.name(), &rejection);
                return Verdict::Reject(rejection);
            }
        }
        Verdict::Continue
    }

    /// As [`Self::ask`], at points of the control plane: what is allowed is told as well.
    fn ask_and_tell(
        &self,
        point: Point,
        subject: Subject<'_>,
        ask: impl FnMut(&dyn Hook) -> Verdict,
    ) -> Verdict {
        let verdict = self.ask(point, subject, ask);
        if verdict == Verdict::Continue {
            self.allowed(subject);
        }
        verdict
    }

    fn refused(&self, subject: Subject<'_>, by: &str, rejection: &Rejection) {
        if let Some(auditor) = &self.auditor {
            let (outcome, reason) = of_rejection(rejection);
            auditor.tell(subject, Decided { outcome, by, shadow: false, reason });
        }
    }

    fn allowed(&self, subject: Subject<'_>) {
        if let Some(auditor) = &self.auditor {
            let outcome = Outcome::Allowed;
            auditor.tell(subject, Decided { outcome, by: "", shadow: false, reason: "" });
        }
    }

    fn tell(&self, point: Point, tell: impl FnMut(&Arc<dyn Hook>)) {
        self.at(point).iter().for_each(tell);
    }
}

/// The points.
impl HookChain {
    /// See [`Hook::connection_opened`].
    #[must_use]
    pub fn connection_opened(&self, connection: &ConnectionInfo) -> Verdict {
        self.ask_and_tell(Point::ConnectionOpened, Subject::Opened(connection), |h| {
            h.connection_opened(connection)
        })
    }

    /// See [`Hook::connection_closed`].
    pub fn connection_closed(&self, connection: &ConnectionInfo) {
        self.tell(Point::ConnectionClosed, |h| h.connection_closed(connection));
        if let Some(auditor) = &self.auditor {
            auditor.forget(connection.id);
            self.allowed(Subject::Closed(connection));
        }
    }

    /// See [`Hook::authenticate`].
    ///
    /// # Errors
    /// The refusal of the first hook that finds the credentials wrong.
    pub fn authenticate(
        &self,
        cx: &RequestContext,
        credentials: &Credentials<'_>,
    ) -> Result<Principal, Rejection> {
        let subject = Subject::Authenticate(cx, credentials.access_key);
        for hook in self.at(Point::Authenticate) {
            match hook.authenticate(cx, credentials) {
                Identity::Unknown => {}
                // What they send is told apart from what others send: nobody may pass for one.
                Identity::Known(Principal::User(name) | Principal::Plugin(name))
                    if name.starts_with(Principal::PLUGIN_PREFIX) =>
                {
                    let why = Rejection::new("names that begin with `plugin:` are of plugins");
                    self.refused(subject, hook.name(), &why);
                    return Err(why);
                }
                Identity::Known(principal) => {
                    if let Some(auditor) = &self.auditor {
                        auditor.identified(subject, hook.name(), &principal);
                    }
                    return Ok(principal);
                }
                Identity::Refused(rejection) => {
                    self.refused(subject, hook.name(), &rejection);
                    return Err(rejection);
                }
            }
        }
        Ok(Principal::Anonymous)
    }

    /// See [`Hook::authorize`].
    #[must_use]
    pub fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        self.ask(Point::Authorize, Subject::Authorize(cx, accesses), |h| h.authorize(cx, accesses))
    }

    /// See [`Hook::may`].
    #[must_use]
    pub fn may(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> bool {
        self.at(Point::Authorize).iter().all(|hook| hook.may(cx, accesses))
    }

    /// See [`Hook::before_send`]. A later hook still sees what an earlier one refused, and may not
    /// turn a refusal back: the first decision that is not to admit stands.
    pub fn before_send(&self, cx: &RequestContext, messages: &mut [Draft<'_>]) {
        let hooks = self.at(Point::BeforeSend);
        if hooks.is_empty() || (hooks.len() == 1 && self.auditor.is_none()) {
            return hooks.iter().for_each(|h| h.before_send(cx, messages));
        }
        let mut decided: Vec<Option<Decision>> = vec![None; messages.len()];
        for hook in hooks {
            let before = self.auditor.as_ref().map(|auditor| (auditor, Drafts::of(messages)));
            hook.before_send(cx, messages);
            if let Some((auditor, before)) = before {
                before.tell(auditor, cx, hook.name(), messages);
            }
            for (message, decided) in messages.iter_mut().zip(&mut decided) {
                match decided {
                    Some(first) => message.decision = first.clone(),
                    None if message.decision != Decision::Admit => {
                        *decided = Some(message.decision.clone());
                    }
                    None => {}
                }
            }
        }
    }

    /// See [`Hook::rerouted`].
    #[must_use]
    pub fn rerouted(&self, cx: &RequestContext, message: &Draft<'_>) -> Verdict {
        self.ask(Point::BeforeSend, Subject::Send(cx, message.topic), |h| h.rerouted(cx, message))
    }

    /// See [`Hook::after_append`].
    pub fn after_append(&self, cx: &RequestContext, messages: &[Appended<'_>]) {
        self.tell(Point::AfterAppend, |h| h.after_append(cx, messages));
    }

    /// See [`Hook::pull`].
    #[must_use]
    pub fn pull(&self, cx: &RequestContext, pull: &Pull<'_>) -> Verdict {
        self.ask(Point::Pull, Subject::Pull(cx, pull), |h| h.pull(cx, pull))
    }

    /// See [`Hook::before_deliver`]. What one hook took out stays out.
    #[must_use]
    pub fn before_deliver(
        &self,
        cx: &RequestContext,
        delivery: &Delivery<'_>,
        messages: &mut [Outbound<'_>],
    ) -> Verdict {
        let hooks = self.at(Point::BeforeDeliver);
        if hooks.is_empty() {
            return Verdict::Continue;
        }
        let mut gone = vec![false; messages.len()];
        for hook in hooks {
            let before = self.auditor.as_ref().map(|auditor| (auditor, Deliveries::of(messages)));
            if let Verdict::Reject(rejection) = hook.before_deliver(cx, delivery, messages) {
                self.refused(Subject::Deliver(cx, delivery), hook.name(), &rejection);
                return Verdict::Reject(rejection);
            }
            for (message, gone) in messages.iter_mut().zip(&mut gone) {
                *gone |= !message.keep;
                message.keep = !*gone;
            }
            if let Some((auditor, before)) = before {
                before.tell(auditor, cx, hook.name(), delivery, messages);
            }
        }
        Verdict::Continue
    }

    /// See [`Hook::ack`].
    pub fn ack(&self, cx: &RequestContext, ack: &Ack<'_>) {
        self.tell(Point::Ack, |h| h.ack(cx, ack));
    }

    /// See [`Hook::admin_command`].
    #[must_use]
    pub fn admin_command(&self, cx: &RequestContext, command: &AdminCommand<'_>) -> Verdict {
        self.ask_and_tell(Point::AdminCommand, Subject::Admin(cx, command), |h| {
            h.admin_command(cx, command)
        })
    }

    /// As [`Self::admin_command`], for who carries nothing out before [`Self::settled`] says that it is recorded.
    #[must_use]
    pub fn announce_admin(&self, cx: &RequestContext, command: &AdminCommand<'_>) -> Verdict {
        self.ask_and_tell(Point::AdminCommand, Subject::Announced(cx, command), |h| {
            h.admin_command(cx, command)
        })
    }

    /// See [`Hook::broker_registration`].
    #[must_use]
    pub fn broker_registration(
        &self,
        cx: &RequestContext,
        registration: &BrokerRegistration<'_>,
    ) -> Verdict {
        let subject = Subject::Register(cx, registration);
        self.ask_and_tell(Point::BrokerRegistration, subject, |h| {
            h.broker_registration(cx, registration)
        })
    }

    /// See [`Hook::route_query`].
    #[must_use]
    pub fn route_query(
        &self,
        cx: &RequestContext,
        topic: &str,
        route: &mut Vec<RouteEntry>,
    ) -> Verdict {
        let subject = Subject::Route(cx, topic);
        self.ask(Point::RouteQuery, subject, |hook| {
            let before = self.auditor.as_ref().map(|auditor| (auditor, route.clone()));
            let verdict = hook.route_query(cx, topic, route);
            if let Some((auditor, before)) = before
                && let Some(reason) = route_change(&before, route)
            {
                let (outcome, by) = (Outcome::Edited, hook.name());
                auditor.tell(subject, Decided { outcome, by, shadow: false, reason: &reason });
            }
            verdict
        })
    }

    /// See [`Hook::lifecycle`].
    pub fn lifecycle(&self, event: Lifecycle) {
        self.tell(Point::Lifecycle, |h| h.lifecycle(event));
    }

    /// See [`Hook::enrich_span`]. The exporter calls this for what it is about to export.
    pub fn enrich_span(&self, spans: &mut [SpanRecord]) {
        self.tell(Point::EnrichSpan, |h| h.enrich_span(spans));
    }
}

/// The chain in force; swapped whole.
pub struct Hooks {
    chain: ArcSwap<HookChain>,
    /// Numbers of requests that were given out.
    requests: AtomicU64,
    /// The node's auditor, once there is one: each chain that comes into force gets it.
    auditor: OnceLock<Arc<Auditor>>,
    /// Those who keep requests waiting.
    watchers: Mutex<Vec<Watcher>>,
    /// Held by who puts a chain in force.
    swapping: Mutex<()>,
}

impl Hooks {
    /// A handle on `chain`.
    #[must_use]
    pub fn new(chain: HookChain) -> Self {
        let chain = ArcSwap::from_pointee(chain);
        let (requests, auditor) = (AtomicU64::new(0), OnceLock::new());
        Self { chain, requests, auditor, watchers: Mutex::default(), swapping: Mutex::default() }
    }

    /// A handle without any hook.
    #[must_use]
    pub fn none() -> Self {
        Self::new(HookChain::new(&[]))
    }

    /// The chain in force. Load it once per burst and hand it down: a request that asked for it again
    /// at its next point could meet another one there.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<HookChain>> {
        self.chain.load()
    }

    /// The same to be kept for what is answered later.
    #[must_use]
    pub fn load_full(&self) -> Arc<HookChain> {
        self.chain.load_full()
    }

    /// Numbers for so many requests of a burst, which plugins' calls are told apart by: the first one.
    /// They begin with 1. Only asked for where there are hooks.
    #[must_use]
    pub fn number(&self, requests: usize) -> u64 {
        self.requests.fetch_add(requests as u64, Ordering::Relaxed) + 1
    }

    /// Puts `chain` in force for everything that begins from now on.
    pub fn swap(&self, chain: HookChain) {
        let _alone = self.swapping.lock();
        // What stands in for a hook may be another since the chain was made.
        let HookChain { all, .. } = chain;
        self.put_in_force(HookChain::new(&all));
    }

    /// Asks the hooks anew what stands in the chain for them.
    pub fn renew(&self) {
        let _alone = self.swapping.lock();
        let chain = HookChain::new(self.load().hooks());
        self.put_in_force(chain);
    }

    fn put_in_force(&self, chain: HookChain) {
        let chain = match self.auditor.get() {
            Some(auditor) => chain.audited(auditor),
            None => chain,
        };
        self.chain.store(Arc::new(chain));
    }

    /// The node's auditor, once there is one.
    #[must_use]
    pub fn auditor(&self) -> Option<&Arc<Auditor>> {
        self.auditor.get()
    }

    /// Has this chain, and each that follows, tell its decisions through `auditor`. Once per node.
    pub fn audit_with(&self, auditor: &Arc<Auditor>) {
        // A second auditor would begin to count anew: the first one stands.
        let _first = self.auditor.set(Arc::clone(auditor));
        self.swap(HookChain::clone(&self.load()));
    }
}
