//! What the flight recorder is told of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use blockhouse_hook::{Appended, Draft, Hook, Point, Points, Rejection, Verdict};
use blockhouse_meter::{FlightRecord, NameNumber, Recorder};
use blockhouse_model::{Access, ManualClock, RequestContext};
use blockhouse_protocol::ExtWriter;
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::header::pull::sys_flag;
use parking_lot::{Mutex, RwLock};

use crate::support::{World, pull_header};

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;

/// Keeps all in memory.
#[derive(Debug, Default)]
struct Kept {
    names: Mutex<Vec<String>>,
    records: Mutex<Vec<FlightRecord>>,
}

impl Recorder for Kept {
    fn name(&self, text: &str) -> NameNumber {
        let mut names = self.names.lock();
        let at = names.iter().position(|name| name == text).unwrap_or(names.len());
        if at == names.len() {
            names.push(text.to_owned());
        }
        NameNumber(u32::try_from(at).unwrap() + 1)
    }

    fn text(&self, number: NameNumber) -> Option<String> {
        let at = usize::try_from(number.0).ok()?.checked_sub(1)?;
        self.names.lock().get(at).cloned()
    }

    fn record(&self, record: &FlightRecord) {
        self.records.lock().push(*record);
    }
}

impl Kept {
    /// The records of a code, with topic and group.
    fn of(&self, code: i32) -> Vec<(FlightRecord, String, String)> {
        let records = self.records.lock().clone();
        let text = |number| self.text(number).unwrap_or_default();
        let of_code = records.into_iter().filter(|record| record.request == code);
        of_code.map(|r| (r, text(r.subject.topic), text(r.subject.group))).collect()
    }
}

async fn recorded() -> (World, Arc<Kept>) {
    recorded_with(&[]).await
}

async fn recorded_with(hooks: &[Arc<dyn Hook>]) -> (World, Arc<Kept>) {
    let (world, kept) = (World::new(hooks).await, Arc::new(Kept::default()));
    world.meter.record_flight(Arc::clone(&kept) as _);
    (world, kept)
}

/// Takes its time before a message is stored and after it, and takes pulls back when it is told to.
#[derive(Default)]
struct Slow {
    clock: RwLock<Option<Arc<ManualClock>>>,
    withdrawn: AtomicBool,
}

impl Slow {
    fn takes(&self, millis: u64) {
        if let Some(clock) = &*self.clock.read() {
            clock.advance(Duration::from_millis(millis));
        }
    }
}

impl Hook for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authorize).with(Point::BeforeSend).with(Point::AfterAppend)
    }

    fn authorize(&self, cx: &RequestContext, _: &[Access<'_>]) -> Verdict {
        if cx.code == request_code::PULL_MESSAGE && self.withdrawn.load(Ordering::SeqCst) {
            return Verdict::Reject(Rejection::new("withdrawn: by rule 7"));
        }
        Verdict::Continue
    }

    fn before_send(&self, _: &RequestContext, _: &mut [Draft<'_>]) {
        self.takes(30);
    }

    fn after_append(&self, _: &RequestContext, _: &[Appended<'_>]) {
        self.takes(50);
    }
}

#[tokio::test]
async fn sends_are_told_with_what_they_were_about_and_refused_ones_as_they_say() {
    let (world, kept) = recorded().await;
    let client = world.client().await;
    assert_eq!(client.send("orders", "", b"12345").await.code, code::SUCCESS);
    let bad = client
        .send(
            "no such!",
            "traceparent\u{1}00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\u{2}",
            b"1",
        )
        .await;
    assert_ne!(bad.code, code::SUCCESS);
    let sends = kept.of(request_code::SEND_MESSAGE_V2);
    assert_eq!(sends.len(), 2);
    let (good, topic, group) = &sends[0];
    assert_eq!((topic.as_str(), good.response, good.requests), ("orders", 0, 1));
    assert!(!group.is_empty() && good.subject.queue.is_some() && good.subject.bytes > 5);
    assert_eq!((good.subject.messages, good.subject.trace_id), (1, 0));
    assert!(good.peer.ip().is_loopback() && good.is_late && !good.is_held);
    let (refused, topic, _) = &sends[1];
    assert_eq!((topic.as_str(), refused.response), ("no such!", bad.code));
    assert_eq!(refused.subject.messages, 0);
    assert_eq!(refused.subject.trace_id, TRACE);
    assert_eq!(good.connection, refused.connection);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_pull_that_waited_is_told_when_it_is_answered() {
    let (world, kept) = recorded().await;
    let (client, sender) = (world.client().await, world.client().await);
    assert_eq!(sender.send("t", "", b"1").await.code, code::SUCCESS);
    assert_eq!(client.pull("t", 0, "*").await.code, code::SUCCESS);
    let mut header = pull_header("t", 1, "*");
    header.sys_flag |= sys_flag::SUSPEND;
    header.suspend_timeout_millis = 15_000;
    let pulling = client.call(request_code::PULL_MESSAGE, |out| header.write(out), b"");
    let sending = async {
        while world.broker.held().count() == 0 {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_millis(40));
        sender.send("t", "", b"2").await;
    };
    let (pulled, _sent) = tokio::join!(pulling, sending);
    assert_eq!(pulled.code, code::SUCCESS);
    let pulls = kept.of(request_code::PULL_MESSAGE);
    let shapes: Vec<_> = pulls
        .iter()
        .map(|(record, topic, _)| (topic.as_str(), record.is_held, record.total.as_millis()))
        .collect();
    assert_eq!(shapes, [("t", false, 0), ("t", true, 40)]);
    assert!(pulls.iter().all(|(record, _, group)| record.subject.bytes > 0 && !group.is_empty()));
    world.server.shutdown().await;
}

#[tokio::test]
async fn other_requests_are_told_by_their_usual_fields() {
    let (world, kept) = recorded().await;
    let client = world.client().await;
    let span = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let fields = [("topic", "t"), ("queueId", "0"), ("consumerGroup", "g"), ("traceparent", span)];
    client.ask(request_code::QUERY_CONSUMER_OFFSET, &fields, b"").await;
    client.ask(29_999, &fields, b"").await;
    let asked = kept.of(request_code::QUERY_CONSUMER_OFFSET);
    let (record, topic, group) = &asked[0];
    assert_eq!((topic.as_str(), group.as_str(), record.subject.queue), ("t", "g", Some(0)));
    assert_eq!(record.subject.trace_id, TRACE);
    let unknown = kept.of(29_999);
    assert_eq!(unknown[0].0.response, code::REQUEST_CODE_NOT_SUPPORTED);
    world.server.shutdown().await;
}

#[tokio::test]
async fn sends_have_their_stages_without_traces() {
    let slow = Arc::new(Slow::default());
    let (world, kept) = recorded_with(&[Arc::clone(&slow) as _]).await;
    *slow.clock.write() = Some(Arc::clone(&world.clock));
    assert!(world.broker.spans().is_none());
    assert_eq!(world.client().await.send("orders", "", b"1").await.code, code::SUCCESS);
    let (record, ..) = kept.of(request_code::SEND_MESSAGE_V2).remove(0);
    let stages = record.subject.stages;
    let millis = [stages.admit, stages.append, stages.flush].map(|ticks| ticks.time().as_millis());
    assert_eq!((millis, record.total.as_millis()), ([30, 0, 50], 80));
    world.server.shutdown().await;
}

#[tokio::test]
async fn what_is_refused_has_its_reason_in_short() {
    let slow = Arc::new(Slow::default());
    let (world, kept) = recorded_with(&[Arc::clone(&slow) as _]).await;
    let client = world.client().await;
    assert_eq!(client.send("t", "", b"1").await.code, code::SUCCESS);
    let reasons = |request| -> Vec<(i32, String)> {
        let of_code = kept.of(request).into_iter();
        let reason = |record: FlightRecord| kept.text(record.subject.reason).unwrap_or_default();
        of_code.map(|(record, ..)| (record.response, reason(record))).collect()
    };
    assert_ne!(client.send("bad topic!", "", b"1").await.code, code::SUCCESS);
    let sends = reasons(request_code::SEND_MESSAGE_V2);
    assert_eq!((sends.len(), sends[0].1.as_str()), (2, ""));
    assert!(sends[1].1.contains("illegal"), "{sends:?}");
    client.ask(request_code::GET_MIN_OFFSET, &[("queueId", "0")], b"").await;
    assert_eq!(reasons(request_code::GET_MIN_OFFSET)[0].1, "the header field topic is missing");
    let gone = client.pull("nowhere", 0, "*").await;
    assert_eq!(gone.code, code::TOPIC_NOT_EXIST);
    slow.withdrawn.store(true, Ordering::SeqCst);
    assert_eq!(client.pull("t", 0, "*").await.code, code::NO_PERMISSION);
    let pulls = reasons(request_code::PULL_MESSAGE);
    assert!(pulls[0].1.starts_with("topic[nowhere] not exist"), "{pulls:?}");
    assert_eq!(pulls[1], (code::NO_PERMISSION, "withdrawn".to_owned()));
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_pull_that_is_refused_after_it_waited_has_reason_wait_and_trace() {
    let slow = Arc::new(Slow::default());
    let (world, kept) = recorded_with(&[Arc::clone(&slow) as _]).await;
    let client = world.client().await;
    assert_eq!(client.send("t", "", b"1").await.code, code::SUCCESS);
    let mut header = pull_header("t", 1, "*");
    header.sys_flag |= sys_flag::SUSPEND;
    header.suspend_timeout_millis = 100_000;
    let span = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let fields = |out: &mut ExtWriter<'_>| {
        header.write(out);
        out.text("traceparent", span);
    };
    let revoke = async {
        while world.broker.held().count() == 0 {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_millis(700));
        slow.withdrawn.store(true, Ordering::SeqCst);
        world.broker.hooks().ask_again();
    };
    let (answer, ()) = tokio::join!(client.call(request_code::PULL_MESSAGE, fields, b""), revoke);
    assert_eq!(answer.code, code::NO_PERMISSION);
    let (record, topic, group) = kept.of(request_code::PULL_MESSAGE).remove(0);
    assert_eq!((topic.as_str(), group.as_str()), ("t", "consumers"));
    assert_eq!(kept.text(record.subject.reason).as_deref(), Some("withdrawn"));
    assert_eq!((record.is_held, record.total.as_millis()), (true, 700));
    assert_eq!(record.subject.trace_id, TRACE);
    world.server.shutdown().await;
}
