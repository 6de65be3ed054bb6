//! What the flight recorder is told of a name server's requests, and what is counted of them.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_hook::{Hook, Point, Points, RouteEntry, Verdict};
use blockhouse_meter::{FlightRecord, NameNumber, Recorder, RpcKind};
use blockhouse_model::{ManualClock, RequestContext};
use blockhouse_namesrv_remoting::Settings;
use blockhouse_protocol::codes::{request_code as code, response_code};
use parking_lot::{Mutex, RwLock};

use crate::bench::{BROKER_FIELDS, Bench, two_topics};

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
        NameNumber(u32::try_from(at).map_or(0, |at| at + 1))
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
    /// What was asked and answered, with client, topic and reason.
    fn told(&self) -> Vec<(i32, i32, String, String, String)> {
        let text = |number| self.text(number).unwrap_or_default();
        let told = |r: &FlightRecord| {
            let names = [r.client, r.subject.topic, r.subject.reason].map(text);
            let [client, topic, reason] = names;
            (r.request, r.response, client, topic, reason)
        };
        self.records.lock().iter().map(told).collect()
    }
}

/// Takes its time for a route.
#[derive(Default)]
struct Slow(RwLock<Option<Arc<ManualClock>>>);

impl Hook for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::RouteQuery)
    }

    fn route_query(&self, _: &RequestContext, _: &str, _: &mut Vec<RouteEntry>) -> Verdict {
        if let Some(clock) = &*self.0.read() {
            clock.advance(Duration::from_millis(40));
        }
        Verdict::Continue
    }
}

fn scene() -> (Bench, Arc<Kept>) {
    let slow = Arc::new(Slow::default());
    let bench = Bench::with(Settings::default(), &[Arc::clone(&slow) as _]);
    *slow.0.write() = Some(Arc::clone(&bench.clock));
    let kept = Arc::new(Kept::default());
    bench.meter.record_flight(Arc::clone(&kept) as _);
    (bench, kept)
}

#[test]
fn requests_are_told_with_what_they_were_about_and_why_they_were_refused() {
    let (bench, kept) = scene();
    bench.register();
    bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"");
    bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "none")], b"");
    bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[], b"");
    // About a broker, and not of one.
    bench.ask(code::WIPE_WRITE_PERM_OF_BROKER, &[("brokerName", "a")], b"");
    bench.ask(29_999, &[("topic", "made up")], b"");
    let expected = [
        (code::REGISTER_BROKER, 0, "a", "", ""),
        (code::GET_ROUTEINFO_BY_TOPIC, 0, "", "t", ""),
        (
            code::GET_ROUTEINFO_BY_TOPIC,
            response_code::TOPIC_NOT_EXIST,
            "",
            "none",
            "No topic route info in name server for the topic",
        ),
        (
            code::GET_ROUTEINFO_BY_TOPIC,
            response_code::SYSTEM_ERROR,
            "",
            "",
            "the header field topic is missing",
        ),
        (code::WIPE_WRITE_PERM_OF_BROKER, 0, "", "", ""),
        (29_999, response_code::REQUEST_CODE_NOT_SUPPORTED, "", "", ""),
    ];
    let expected = expected.map(|(request, answer, client, topic, reason)| {
        (request, answer, client.to_owned(), topic.to_owned(), reason.to_owned())
    });
    assert_eq!(kept.told(), expected);
    let records = kept.records.lock();
    assert_eq!(records[1].total, Duration::from_millis(40), "as long as its hook took");
    assert!(records.iter().all(|r| r.peer == bench.connection.peer() && r.requests == 1));
}

#[test]
fn what_is_answered_after_its_save_is_told_then_and_counted_as_all_others() {
    let (bench, kept) = scene();
    let kv = [("namespace", "n"), ("key", "k"), ("value", "v")];
    assert_eq!(bench.ask(code::PUT_KV_CONFIG, &kv, b"").code, 0);
    assert_eq!(bench.one_way(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b""), 0);
    bench.ask(code::REGISTER_BROKER, BROKER_FIELDS, two_topics(1).as_bytes());
    let records = kept.records.lock().clone();
    let shapes: Vec<_> = records.iter().map(|r| (r.request, r.is_late, r.is_one_way)).collect();
    assert_eq!(
        shapes,
        [
            (code::PUT_KV_CONFIG, true, false),
            (code::GET_ROUTEINFO_BY_TOPIC, false, true),
            (code::REGISTER_BROKER, false, false),
        ]
    );
    assert_eq!(bench.meter.requests.read().len(), 3);
    let times = bench.meter.latencies.read();
    let one_way = RpcKind {
        request: code::GET_ROUTEINFO_BY_TOPIC,
        response: response_code::TOPIC_NOT_EXIST,
        is_held: false,
        is_one_way: true,
    };
    assert_eq!((times.len(), times[&Some(one_way)].count()), (3, 1));
}
