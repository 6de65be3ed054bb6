//! What waits for the audit's record of it.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use blockhouse_hook::{
    AuditEvent, AuditKind, Auditor, Awaited, Credentials, Hook, Identity, Point, Points, Rejection,
    Settled, Verdict,
};
use blockhouse_model::{Access, Principal, RequestContext};
use blockhouse_namesrv_remoting::Settings;
use blockhouse_protocol::codes::{request_code as code, response_code};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::bench::{BROKER_FIELDS, Bench, two_topics};

/// A sink whose records are durable when the test says so. `thief` is not believed, and `eve` may
/// nothing.
#[derive(Default)]
struct Holding(Mutex<Vec<(Awaited, oneshot::Sender<bool>)>>, Mutex<Vec<AuditEvent>>);

impl Hook for Holding {
    fn name(&self) -> &'static str {
        "holding"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::AuditSink).with(Point::Authenticate).with(Point::Authorize)
    }

    fn authenticate(&self, _: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        match credentials.access_key {
            "thief" => Identity::Refused(Rejection::new("who are you")),
            name => Identity::Known(Principal::User(name.into())),
        }
    }

    fn authorize(&self, cx: &RequestContext, _: &[Access<'_>]) -> Verdict {
        if cx.principal == Principal::User("eve".into()) {
            return Verdict::Reject(Rejection::new("eve may nothing"));
        }
        Verdict::Continue
    }

    fn audit(&self, events: &[AuditEvent]) {
        self.1.lock().extend_from_slice(events);
    }

    fn audit_settled(&self, awaited: Awaited) -> Option<Settled> {
        let (tell, told) = oneshot::channel();
        self.0.lock().push((awaited, tell));
        Some(Box::pin(async move {
            match told.await {
                Ok(true) => Ok(()),
                _ => Err(Rejection::with_code(response_code::SYSTEM_ERROR, "full")),
            }
        }))
    }
}

type Answer = Pin<Box<dyn Future<Output = Vec<i32>>>>;

struct Scene {
    bench: Bench,
    sink: Arc<Holding>,
}

impl Scene {
    fn new() -> Self {
        let sink = Arc::new(Holding::default());
        let bench = Bench::with(Settings::default(), &[Arc::clone(&sink) as _]);
        Self { bench, sink }
    }

    fn ask(&self, who: &str, code: i32, fields: &[(&str, &str)], body: &str) -> Answer {
        let fields: Vec<_> = fields.iter().copied().chain([("AccessKey", who)]).collect();
        Box::pin(self.bench.later(code, &fields, body.as_bytes()))
    }

    fn record(&self, is_durable: bool) -> Awaited {
        let mut waiting = self.sink.0.lock();
        assert_eq!(waiting.len(), 1);
        let (awaited, tell) = waiting.remove(0);
        assert!(tell.send(is_durable).is_ok(), "nobody waits");
        awaited
    }
}

/// The code of the answer, if it is there.
fn look(answer: &mut Answer) -> Option<i32> {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(codes) => codes.first().copied(),
        Poll::Pending => None,
    }
}

const KV: &[(&str, &str)] = &[("namespace", "n"), ("key", "k"), ("value", "v")];

#[test]
fn control_plane_and_its_refusals_are_answered_after_their_record() {
    let scene = Scene::new();
    for (who, is_durable, expected) in [
        ("alice", true, response_code::SUCCESS),
        ("alice", false, response_code::SYSTEM_ERROR),
        ("eve", true, response_code::NO_PERMISSION),
        ("eve", false, response_code::NO_PERMISSION),
        ("thief", true, response_code::NO_PERMISSION),
    ] {
        let mut answer = scene.ask(who, code::PUT_KV_CONFIG, KV, "");
        assert_eq!(look(&mut answer), None, "{who}");
        assert_eq!(scene.record(is_durable), Awaited::Control);
        assert_eq!(look(&mut answer), Some(expected), "{who}");
    }
}

#[test]
fn what_is_done_before_it_is_recorded_is_told_so() {
    let scene = Scene::new();
    scene.bench.hooks.audit_with(&Arc::new(Auditor::new(Arc::clone(&scene.bench.clock) as _)));
    let mut answer = scene.ask("alice", code::PUT_KV_CONFIG, KV, "");
    scene.record(false);
    assert_eq!(look(&mut answer), Some(response_code::SYSTEM_ERROR));
    // Answered so, and in force.
    let mut found = scene.ask("alice", code::GET_KV_CONFIG, KV, "");
    assert_eq!(look(&mut found), Some(response_code::SUCCESS));
    let told = scene.sink.1.lock().clone();
    let told: Vec<_> = told.iter().filter(|event| event.kind == AuditKind::AdminCommand).collect();
    assert!(told.len() == 1 && !told[0].announced, "{told:?}");
}

#[test]
fn a_brokers_report_is_answered_after_its_record() {
    let scene = Scene::new();
    let register = |who| scene.ask(who, code::REGISTER_BROKER, BROKER_FIELDS, &two_topics(1));
    for (who, expected) in [
        ("alice", response_code::SUCCESS),
        ("eve", response_code::NO_PERMISSION),
        ("thief", response_code::NO_PERMISSION),
    ] {
        let mut answer = register(who);
        assert_eq!(look(&mut answer), None, "{who}");
        assert_eq!(scene.record(true), Awaited::Registration);
        assert_eq!(look(&mut answer), Some(expected), "{who}");
    }
}

#[test]
fn what_clients_ask_waits_for_nothing_but_who_they_are() {
    let scene = Scene::new();
    let route = |who| scene.ask(who, code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], "");
    assert_eq!(look(&mut route("alice")), Some(response_code::TOPIC_NOT_EXIST));
    assert_eq!(look(&mut route("eve")), Some(response_code::NO_PERMISSION));
    let mut answer = route("thief");
    assert_eq!(look(&mut answer), None);
    assert_eq!(scene.record(true), Awaited::Login);
    assert_eq!(look(&mut answer), Some(response_code::NO_PERMISSION));
}
