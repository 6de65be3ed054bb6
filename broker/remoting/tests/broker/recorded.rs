//! Admin commands and their refusals wait for the audit's record of them.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use blockhouse_hook::{
    AuditEvent, AuditKind, Auditor, Awaited, Credentials, Hook, Identity, Point, Points, Rejection,
    Settled, Verdict,
};
use blockhouse_meter::{Meter, Processor};
use blockhouse_model::{Access, Action, Principal, RequestContext};
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::signed::Signer;
use blockhouse_protocol::{RemotingCommand, RequestHead, encode, frame};
use blockhouse_remoting::Remoting;
use blockhouse_transport::{Connection, Replies, Service as _};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::support::{NoNode, World};

/// A sink whose records are durable when the test says so, or not at all. `thief` is not believed, and
/// `eve` may change nothing.
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

    fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        let is_eve = cx.principal == Principal::User("eve".into());
        if is_eve && accesses.iter().any(|access| access.action != Action::Pub) {
            return Verdict::Reject(Rejection::new("eve changes nothing"));
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
            let is_durable = told.await.unwrap_or(false);
            if is_durable { Ok(()) } else { Err(Rejection::with_code(code::SYSTEM_ERROR, "full")) }
        }))
    }
}

struct Scene {
    world: World,
    remoting: Arc<Remoting>,
    connection: Arc<Connection>,
    sink: Arc<Holding>,
    meter: Arc<Meter>,
}

type Answer = Pin<Box<dyn Future<Output = Bytes>>>;

impl Scene {
    async fn new() -> Self {
        let sink = Arc::new(Holding::default());
        let world = World::new(&[Arc::clone(&sink) as _]).await;
        let meter = Arc::new(Meter::default());
        let (broker, counted) = (Arc::clone(&world.broker), Arc::clone(&meter));
        let remoting = Remoting::new(broker, Arc::new(NoNode), counted);
        let at = |port| ([127, 0, 0, 1], port).into();
        Self { world, remoting, connection: Connection::detached(at(5), at(6)), sink, meter }
    }

    /// A request to make a topic, or another one about it.
    fn ask(&self, who: &'static str, code: i32, topic: &'static str) -> Answer {
        let signer = Signer::new(who, |_, _| "signature".to_owned());
        let mut frames = BytesMut::new();
        let fields = |out: &mut blockhouse_protocol::ExtWriter<'_>| {
            for (name, value) in [
                ("topic", topic),
                ("defaultTopic", "TBW102"),
                ("readQueueNums", "1"),
                ("writeQueueNums", "1"),
                ("perm", "6"),
                ("topicFilterType", "SINGLE_TAG"),
                ("topicSysFlag", "0"),
                ("order", "false"),
            ] {
                out.pair(name, value);
            }
        };
        let head = RequestHead::new(code, 1);
        encode::request(&mut frames, &head, |out| signer.write(out, fields, b""), b"");
        let mut burst = split(frames);
        let mut replies = Replies::new();
        self.remoting.burst(&self.connection, &mut burst, &mut replies);
        Box::pin(replies.settled())
    }

    /// Ends the wait for the one record that somebody waits for.
    fn record(&self, is_durable: bool) -> Awaited {
        let mut waiting = self.sink.0.lock();
        assert_eq!(waiting.len(), 1);
        let (awaited, tell) = waiting.remove(0);
        assert!(tell.send(is_durable).is_ok(), "nobody waits");
        awaited
    }

    fn has(&self, topic: &str) -> bool {
        self.world.broker.topics().contains(topic)
    }
}

fn split(mut bytes: BytesMut) -> Vec<RemotingCommand> {
    std::iter::from_fn(|| frame::split(&mut bytes, 1 << 20).unwrap()).collect()
}

fn is_there(answer: &mut Answer) -> bool {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(bytes) => !bytes.is_empty(),
        Poll::Pending => false,
    }
}

async fn code_of(answer: Answer) -> i32 {
    split(BytesMut::from(&*answer.await)).remove(0).code
}

const CREATE: i32 = request_code::UPDATE_AND_CREATE_TOPIC;

#[tokio::test]
async fn nothing_is_changed_or_answered_before_the_record_of_it() {
    let scene = Scene::new().await;
    let mut answer = scene.ask("alice", CREATE, "orders");
    assert!(!is_there(&mut answer) && !scene.has("orders"));
    assert_eq!(scene.record(true), Awaited::Control);
    assert_eq!(code_of(answer).await, code::SUCCESS);
    assert!(scene.has("orders"));

    let answer = scene.ask("alice", CREATE, "bills");
    scene.record(false);
    assert_eq!(code_of(answer).await, code::SYSTEM_ERROR);
    assert!(!scene.has("bills"));
}

#[tokio::test]
async fn what_is_done_only_once_it_is_recorded_is_told_so() {
    let scene = Scene::new().await;
    scene
        .world
        .broker
        .hooks()
        .audit_with(&Arc::new(Auditor::new(Arc::clone(&scene.world.clock) as _)));
    let answer = scene.ask("alice", CREATE, "orders");
    scene.record(true);
    assert_eq!(code_of(answer).await, code::SUCCESS);
    let told = scene.sink.1.lock().clone();
    let told: Vec<_> = told.iter().filter(|event| event.kind == AuditKind::AdminCommand).collect();
    assert!(told.len() == 1 && told[0].announced, "{told:?}");
}

#[tokio::test]
async fn a_refusal_is_answered_after_its_record_and_also_without() {
    let scene = Scene::new().await;
    for (who, is_durable) in [("eve", true), ("eve", false), ("thief", true), ("thief", false)] {
        let mut answer = scene.ask(who, CREATE, "orders");
        assert!(!is_there(&mut answer), "{who}");
        assert_eq!(scene.record(is_durable), Awaited::Control);
        assert_eq!(code_of(answer).await, code::NO_PERMISSION);
    }
    // Who nobody is, is refused whatever he asks for; whether that waits is for the sink to say.
    let answer = scene.ask("thief", request_code::GET_MAX_OFFSET, "orders");
    assert_eq!(scene.record(true), Awaited::Login);
    assert_eq!(code_of(answer).await, code::NO_PERMISSION);
    assert!(!scene.has("orders"));
}

#[tokio::test]
async fn a_request_counts_as_waiting_until_it_is_answered_or_nobody_wants_the_answer() {
    let scene = Scene::new().await;
    let waiting = |processor| scene.meter.watermarks.waiting(processor);
    let created = scene.ask("alice", CREATE, "orders");
    assert_eq!((waiting(Processor::Admin), waiting(Processor::Send)), (1, 0));
    scene.record(true);
    let refused = scene.ask("eve", CREATE, "bills");
    let unknown = scene.ask("thief", request_code::QUERY_CONSUMER_OFFSET, "orders");
    assert_eq!((waiting(Processor::Admin), waiting(Processor::ConsumerManager)), (2, 1));
    assert_eq!(code_of(created).await, code::SUCCESS);
    drop(unknown);
    assert_eq!((waiting(Processor::Admin), waiting(Processor::ConsumerManager)), (1, 0));
    drop(refused);
    assert_eq!(waiting(Processor::Admin), 0);
}

#[tokio::test]
async fn what_is_no_admin_command_waits_for_no_record() {
    let scene = Scene::new().await;
    let mut answer = scene.ask("alice", request_code::GET_MAX_OFFSET, "orders");
    assert!(is_there(&mut answer) && scene.sink.0.lock().is_empty());
}
