//! Which requests of a name server become spans.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use blockhouse_hook::{Hook, PluginCall, Point, Points, RouteEntry, Verdict, calls};
use blockhouse_meter::Spans;
use blockhouse_meter::spans::{Operation, Record, Role, Rules};
use blockhouse_model::RequestContext;
use blockhouse_namesrv_remoting::Settings;
use blockhouse_protocol::codes::{request_code as code, response_code};

use crate::bench::{BROKER_FIELDS, Bench};

/// Notes a call as plugins do.
struct Noting;

impl Hook for Noting {
    fn name(&self) -> &'static str {
        "noting"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::RouteQuery)
    }

    fn route_query(&self, _: &RequestContext, _: &str, _: &mut Vec<RouteEntry>) -> Verdict {
        calls::note(|| PluginCall::new("p", "route-query"));
        Verdict::Continue
    }
}

struct Scene {
    bench: Bench,
    spans: Arc<Spans>,
    records: Receiver<Record>,
}

impl Scene {
    fn new(head: f64) -> Self {
        let bench = Bench::with(Settings::default(), &[Arc::new(Noting)]);
        let rules = Rules { head, slow: Some(Duration::from_secs(1)), errors: true };
        let (spans, records) = Spans::new(rules, 64);
        let spans = Arc::new(spans);
        bench.meter.record_spans(Arc::clone(&spans));
        Self { bench, spans, records }
    }

    /// Name, topic, broker, code and reason of what was recorded since, and whether it failed; calls by plugin and hook.
    fn told(&self) -> Vec<String> {
        let text = |name| self.spans.text(name).to_string();
        let told = |record| match record {
            Record::Stages(r) => {
                assert_eq!(r.role, Role::NameServer);
                let Operation::Request(name) = r.operation else { unreachable!("{r:?}") };
                let broker = r.broker.map(text).unwrap_or_default();
                let reason = r.picked.reason.name();
                let failed = if r.has_failed() { " failed" } else { "" };
                format!("{} {} {broker} {} {reason}{failed}", text(name), text(r.topic), r.code)
            }
            Record::Call(call) => format!("{} {}", call.hook, text(call.plugin)),
            Record::Link(_) | Record::Flush(_) => unreachable!("of a broker"),
        };
        self.records.try_iter().map(told).collect()
    }

    fn route(&self, topic: &str, traceparent: Option<&str>) -> i32 {
        let fields = [("topic", topic)].into_iter().chain(traceparent.map(|t| ("traceparent", t)));
        let fields: Vec<_> = fields.collect();
        self.bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &fields, b"").code
    }
}

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[test]
fn requests_are_recorded_by_ratio_with_what_plugins_were_asked() {
    let scene = Scene::new(1.0);
    assert_eq!(scene.bench.register().code, 0);
    assert_eq!(scene.told(), ["REGISTER_BROKER  a 0 head"]);
    assert_eq!(scene.route("t", None), 0);
    assert_eq!(scene.told(), ["route-query p", "GET_ROUTEINFO_BY_TOPIC t  0 head"]);
    let kv = [("namespace", "n"), ("key", "k"), ("value", "v")];
    assert_eq!(scene.bench.ask(code::PUT_KV_CONFIG, &kv, b"").code, 0);
    assert_eq!(scene.told(), ["PUT_KV_CONFIG   0 head"], "one that waits for the disk");
    assert_eq!(scene.bench.ask(code::UNREGISTER_BROKER, BROKER_FIELDS, b"").code, 0);
    assert_eq!(scene.told(), ["UNREGISTER_BROKER  a 0 head"]);
    assert_eq!(scene.route("t", Some(UNSAMPLED)), response_code::TOPIC_NOT_EXIST);
    assert_eq!(scene.told(), [""; 0], "whoever asks decides");
}

#[test]
fn without_a_ratio_those_are_recorded_that_somebody_wants_or_that_fail() {
    let scene = Scene::new(0.0);
    scene.bench.register();
    assert_eq!(
        (scene.route("t", None), scene.route("x", None)),
        (0, response_code::TOPIC_NOT_EXIST)
    );
    assert_eq!(scene.told(), [""; 0], "what is not there is no error");
    assert_eq!(scene.route("t", Some(SAMPLED)), 0);
    assert_eq!(scene.told(), ["route-query p", "GET_ROUTEINFO_BY_TOPIC t  0 parent"]);
    scene.bench.ask(code::REGISTER_BROKER, BROKER_FIELDS, b"{");
    assert_eq!(scene.told(), ["REGISTER_BROKER  a 1 error failed"]);
    scene.bench.ask(9_999, &[], b"");
    assert_eq!(scene.told().len(), 1, "recorded once");
}

#[test]
fn what_is_not_there_is_an_answer_and_no_failure() {
    let scene = Scene::new(1.0);
    assert_eq!(scene.route("x", None), response_code::TOPIC_NOT_EXIST);
    assert_eq!(scene.told(), ["GET_ROUTEINFO_BY_TOPIC x  17 head"]);
    assert_eq!(scene.route("x", Some(SAMPLED)), response_code::TOPIC_NOT_EXIST);
    assert_eq!(scene.told(), ["GET_ROUTEINFO_BY_TOPIC x  17 parent"]);
    let key = [("namespace", "n"), ("key", "k")];
    assert_eq!(
        scene.bench.ask(code::GET_KV_CONFIG, &key, b"").code,
        response_code::QUERY_NOT_FOUND
    );
    assert_eq!(scene.told(), ["GET_KV_CONFIG   22 head"]);
}

#[test]
fn a_traceparent_that_is_none_is_counted_once_for_each_request() {
    let scene = Scene::new(0.0);
    scene.bench.register();
    let counted = || scene.spans.counts.invalid.read();
    for (traceparent, count) in [(SAMPLED, 0), (UNSAMPLED, 0), ("x", 1), ("", 2)] {
        scene.route("t", Some(traceparent));
        assert_eq!(counted(), count, "{traceparent:?}");
    }
    // One that waits for the disk, one that is refused, and one that is nobody's.
    let kv = [("namespace", "n"), ("key", "k"), ("value", "v"), ("traceparent", "x")];
    assert_eq!(scene.bench.ask(code::PUT_KV_CONFIG, &kv, b"").code, 0);
    assert_eq!(counted(), 3);
    scene.bench.ask(code::REGISTER_BROKER, &[("traceparent", "x")], b"{");
    assert_eq!(counted(), 4);
    scene.bench.ask(9_999, &[("traceparent", "x")], b"");
    assert_eq!(counted(), 5);
    let told = scene.told();
    let parents = told.iter().filter(|told| told.ends_with("parent")).count();
    assert_eq!(parents, 1, "none of the others is a parent: {told:?}");
}
