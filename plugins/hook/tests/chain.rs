//! The chain's promises: only subscribers are called, the first refusal stands, order is kept.
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blockhouse_hook::{Decision, Draft, Hook, HookChain, Point, Points, Rejection, Verdict};
use blockhouse_model::{Access, Action, RequestContext, Resource};

struct Scripted {
    points: Points,
    decision: Decision,
    calls: AtomicUsize,
}

impl Scripted {
    fn at(points: Points, decision: Decision) -> Arc<Self> {
        Arc::new(Self { points, decision, calls: AtomicUsize::new(0) })
    }
}

impl Hook for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }
    fn points(&self) -> Points {
        self.points
    }
    fn authorize(&self, _: &RequestContext, _: &[Access<'_>]) -> Verdict {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Verdict::Reject(Rejection::new("no"))
    }
    fn before_send(&self, _: &RequestContext, messages: &mut [Draft<'_>]) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        for m in messages {
            m.decision = self.decision.clone();
        }
    }
}

fn context() -> RequestContext {
    RequestContext::new(([127, 0, 0, 1], 1).into(), 1, 10)
}

fn draft() -> Draft<'static> {
    Draft {
        topic: "t",
        producer_group: "p",
        queue: None,
        body: Cow::Borrowed(b"x"),
        properties: Cow::Borrowed(""),
        decision: Decision::Admit,
    }
}

#[test]
fn only_subscribers_of_a_point_are_called() {
    let hook = Scripted::at(Points::NONE.with(Point::Authorize), Decision::Admit);
    let chain = HookChain::new(&[hook.clone() as Arc<dyn Hook>]);
    assert!(chain.has(Point::Authorize));
    assert!(!chain.has(Point::BeforeSend));
    chain.before_send(&context(), &mut [draft()]);
    assert_eq!(hook.calls.load(Ordering::SeqCst), 0);
    let access = [Access { action: Action::Pub, resource: Resource::Topic("t") }];
    assert_eq!(chain.authorize(&context(), &access), Verdict::Reject(Rejection::new("no")));
}

#[test]
fn a_later_hook_cannot_turn_a_refusal_back() {
    let refuses = Scripted::at(Points::all(), Decision::Drop);
    let admits = Scripted::at(Points::all(), Decision::Admit);
    let chain = HookChain::new(&[refuses, admits]);
    let mut messages = [draft()];
    chain.before_send(&context(), &mut messages);
    assert_eq!(messages[0].decision, Decision::Drop);
}

#[test]
fn the_first_refusal_ends_the_question() {
    let first = Scripted::at(Points::all(), Decision::Admit);
    let second = Scripted::at(Points::all(), Decision::Admit);
    let chain = HookChain::new(&[first, second.clone()]);
    let access = [Access { action: Action::Sub, resource: Resource::Group("g") }];
    assert_ne!(chain.authorize(&context(), &access), Verdict::Continue);
    assert_eq!(second.calls.load(Ordering::SeqCst), 0);
}

/// The point after each, in the order they are declared: a new one does not compile without it.
const fn next(point: Point) -> Option<Point> {
    Some(match point {
        Point::ConnectionOpened => Point::ConnectionClosed,
        Point::ConnectionClosed => Point::Authenticate,
        Point::Authenticate => Point::Authorize,
        Point::Authorize => Point::BeforeSend,
        Point::BeforeSend => Point::AfterAppend,
        Point::AfterAppend => Point::Pull,
        Point::Pull => Point::BeforeDeliver,
        Point::BeforeDeliver => Point::Ack,
        Point::Ack => Point::AdminCommand,
        Point::AdminCommand => Point::BrokerRegistration,
        Point::BrokerRegistration => Point::RouteQuery,
        Point::RouteQuery => Point::Lifecycle,
        Point::Lifecycle => Point::EnrichSpan,
        Point::EnrichSpan => Point::AuditSink,
        Point::AuditSink => return None,
    })
}

#[test]
fn all_points_are_in_the_list_of_all() {
    let declared = std::iter::successors(Some(Point::ConnectionOpened), |point| next(*point));
    assert_eq!(declared.collect::<Vec<_>>(), Point::ALL);
}
