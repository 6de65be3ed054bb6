//! All hooks in order, cut into a slice per point.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use blockhouse_model::{Access, Principal, RequestContext};

use crate::{
    Ack, AdminCommand, Appended, BrokerRegistration, ConnectionInfo, Credentials, Decision,
    Delivery, Draft, Hook, Identity, Lifecycle, Outbound, Point, Pull, Rejection, RouteEntry,
    Verdict,
};

type Subscribers = Box<[Arc<dyn Hook>]>;

/// An immutable, ordered set of hooks.
pub struct HookChain {
    by_point: [Subscribers; Point::ALL.len()],
    all: Subscribers,
}

impl HookChain {
    /// A chain that calls `hooks` in the order given.
    #[must_use]
    pub fn new(hooks: &[Arc<dyn Hook>]) -> Self {
        let by_point = Point::ALL
            .map(|point| hooks.iter().filter(|h| h.points().has(point)).cloned().collect());
        Self { by_point, all: hooks.into() }
    }

    /// All its hooks, in their order: what another chain is made of.
    #[must_use]
    pub fn hooks(&self) -> &[Arc<dyn Hook>] {
        &self.all
    }

    fn at(&self, point: Point) -> &[Arc<dyn Hook>] {
        &self.by_point[point as usize]
    }

    /// Whether anyone listens at `point`. Callers ask before they build what a hook would see.
    #[must_use]
    pub fn has(&self, point: Point) -> bool {
        !self.at(point).is_empty()
    }

    fn ask(&self, point: Point, mut ask: impl FnMut(&dyn Hook) -> Verdict) -> Verdict {
        for hook in self.at(point) {
            if let Verdict::Reject(rejection) = ask(hook.as_ref()) {
                return Verdict::Reject(rejection);
            }
        }
        Verdict::Continue
    }

    fn tell(&self, point: Point, tell: impl FnMut(&Arc<dyn Hook>)) {
        self.at(point).iter().for_each(tell);
    }

    /// See [`Hook::connection_opened`].
    #[must_use]
    pub fn connection_opened(&self, connection: &ConnectionInfo) -> Verdict {
        self.ask(Point::ConnectionOpened, |h| h.connection_opened(connection))
    }

    /// See [`Hook::connection_closed`].
    pub fn connection_closed(&self, connection: &ConnectionInfo) {
        self.tell(Point::ConnectionClosed, |h| h.connection_closed(connection));
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
        for hook in self.at(Point::Authenticate) {
            match hook.authenticate(cx, credentials) {
                Identity::Unknown => {}
                Identity::Known(principal) => return Ok(principal),
                Identity::Refused(rejection) => return Err(rejection),
            }
        }
        Ok(Principal::Anonymous)
    }

    /// See [`Hook::authorize`].
    #[must_use]
    pub fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        self.ask(Point::Authorize, |h| h.authorize(cx, accesses))
    }

    /// See [`Hook::before_send`]. A later hook still sees what an earlier one refused, and may not
    /// turn a refusal back: the first decision that is not to admit stands.
    pub fn before_send(&self, cx: &RequestContext, messages: &mut [Draft<'_>]) {
        let hooks = self.at(Point::BeforeSend);
        if hooks.len() < 2 {
            return hooks.iter().for_each(|h| h.before_send(cx, messages));
        }
        let mut decided: Vec<Option<Decision>> = vec![None; messages.len()];
        for hook in hooks {
            hook.before_send(cx, messages);
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

    /// See [`Hook::after_append`].
    pub fn after_append(&self, cx: &RequestContext, messages: &[Appended<'_>]) {
        self.tell(Point::AfterAppend, |h| h.after_append(cx, messages));
    }

    /// See [`Hook::pull`].
    #[must_use]
    pub fn pull(&self, cx: &RequestContext, pull: &Pull<'_>) -> Verdict {
        self.ask(Point::Pull, |h| h.pull(cx, pull))
    }

    /// See [`Hook::before_deliver`]. What one hook took out stays out.
    #[must_use]
    pub fn before_deliver(
        &self,
        cx: &RequestContext,
        delivery: &Delivery<'_>,
        messages: &mut [Outbound<'_>],
    ) -> Verdict {
        let mut gone = vec![false; messages.len()];
        for hook in self.at(Point::BeforeDeliver) {
            if let Verdict::Reject(rejection) = hook.before_deliver(cx, delivery, messages) {
                return Verdict::Reject(rejection);
            }
            for (message, gone) in messages.iter_mut().zip(&mut gone) {
                *gone |= !message.keep;
                message.keep = !*gone;
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
        self.ask(Point::AdminCommand, |h| h.admin_command(cx, command))
    }

    /// See [`Hook::broker_registration`].
    #[must_use]
    pub fn broker_registration(
        &self,
        cx: &RequestContext,
        registration: &BrokerRegistration<'_>,
    ) -> Verdict {
        self.ask(Point::BrokerRegistration, |h| h.broker_registration(cx, registration))
    }

    /// See [`Hook::route_query`].
    #[must_use]
    pub fn route_query(
        &self,
        cx: &RequestContext,
        topic: &str,
        route: &mut Vec<RouteEntry>,
    ) -> Verdict {
        self.ask(Point::RouteQuery, |h| h.route_query(cx, topic, route))
    }

    /// See [`Hook::lifecycle`].
    pub fn lifecycle(&self, event: Lifecycle) {
        self.tell(Point::Lifecycle, |h| h.lifecycle(event));
    }
}

/// The chain in force; swapped whole.
pub struct Hooks(ArcSwap<HookChain>);

impl Hooks {
    /// A handle on `chain`.
    #[must_use]
    pub fn new(chain: HookChain) -> Self {
        Self(ArcSwap::from_pointee(chain))
    }

    /// A handle without any hook.
    #[must_use]
    pub fn none() -> Self {
        Self::new(HookChain::new(&[]))
    }

    /// The chain in force. Load once per burst, so that a burst sees one chain.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<HookChain>> {
        self.0.load()
    }

    /// Puts `chain` in force for everything that begins from now on.
    pub fn swap(&self, chain: HookChain) {
        self.0.store(Arc::new(chain));
    }
}
