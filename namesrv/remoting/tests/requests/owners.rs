//! A broker reports itself and nobody else.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_hook::{AuditEvent, Auditor, Credentials, Hook, Identity, Outcome, Point, Points};
use blockhouse_model::{Principal, RequestContext};
use blockhouse_namesrv_remoting::{Addresses, Names, Registration, Settings};
use blockhouse_protocol::codes::{request_code as code, response_code};
use blockhouse_transport::{Connection, Sessions as _};
use parking_lot::Mutex;

use super::bench::{Answer, Bench, two_topics};

/// Believes everybody's name.
struct Believes;

impl Hook for Believes {
    fn name(&self) -> &'static str {
        "believes"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authenticate)
    }

    fn authenticate(&self, _: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        match credentials.access_key {
            "" => Identity::Unknown,
            name => Identity::Known(Principal::User(name.into())),
        }
    }
}

/// Keeps who is refused what of which broker: the request's code, and whose broker.
#[derive(Default)]
struct Sink(Mutex<Vec<(String, i32, String, String)>>);

impl Hook for Sink {
    fn name(&self) -> &'static str {
        "sink"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::AuditSink)
    }

    fn audit(&self, events: &[AuditEvent]) {
        for event in events.iter().filter(|event| event.outcome == Outcome::Refused) {
            let AuditEvent { code, resource, decided_by, .. } = event.clone();
            self.0.lock().push((event.user().to_owned(), code, resource, decided_by));
        }
    }
}

const A: &str = "127.0.0.1:10911";
const B: &str = "127.0.0.1:20911";

fn secure(registration: Registration) -> Bench {
    Bench::registering(Settings::default(), &[Arc::new(Believes) as _], registration)
}

fn fields<'a>(user: &'a str, broker: &'a str, addr: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("AccessKey", user),
        ("clusterName", "c"),
        ("brokerName", broker),
        ("brokerAddr", addr),
        ("brokerId", "0"),
        ("haServerAddr", "127.0.0.1:10912"),
    ]
}

fn report(bench: &Bench, user: &str, broker: &str, addr: &str) -> Answer {
    let body = two_topics(1);
    bench.ask(code::REGISTER_BROKER, &fields(user, broker, addr), body.as_bytes())
}

fn address_of_a(bench: &Bench) -> String {
    bench.ask(code::GET_BROKER_CLUSTER_INFO, &[], b"").body()
}

#[test]
fn who_is_not_the_first_neither_overwrites_nor_removes_a_broker() {
    let sink = Arc::new(Sink::default());
    let hooks = [Arc::new(Believes) as _, Arc::clone(&sink) as _];
    let bench = Bench::registering(Settings::default(), &hooks, Registration::default());
    bench.hooks.audit_with(&Arc::new(Auditor::new(Arc::clone(&bench.clock) as _)));
    assert_eq!(report(&bench, "ann", "a", A).code, response_code::SUCCESS);
    let before = address_of_a(&bench);
    let queues = r#"{"brokerDatas":[],"filterServerTable":{},"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":9,"topicSysFlag":0,"writeQueueNums":9}]}"#;
    let topic = [("AccessKey", "bob"), ("topic", "new")];
    for (what, answer) in [
        ("takes the name over", report(&bench, "bob", "a", B)),
        ("repeats the report", report(&bench, "bob", "a", A)),
        ("takes the address over", report(&bench, "bob", "b", A)),
        ("nobody", report(&bench, "", "a", B)),
        ("removes it", bench.ask(code::UNREGISTER_BROKER, &fields("bob", "a", A), b"")),
        ("keeps it alive", bench.ask(code::BROKER_HEARTBEAT, &fields("bob", "a", A), b"")),
        ("asks as it", bench.ask(code::QUERY_DATA_VERSION, &fields("bob", "a", A), b"")),
        ("gives it a topic", bench.ask(code::REGISTER_TOPIC_IN_NAMESRV, &topic, queues.as_bytes())),
    ] {
        assert_eq!(answer.code, response_code::NO_PERMISSION, "bob {what}: {answer:?}");
    }
    let told = |user: &str, code, broker: &str| {
        (user.to_owned(), code, format!("broker:{broker}"), "namesrv".to_owned())
    };
    let expected = [
        told("bob", code::REGISTER_BROKER, "a"),
        told("bob", code::REGISTER_BROKER, "a"),
        told("bob", code::REGISTER_BROKER, "b"),
        told("anonymous", code::REGISTER_BROKER, "a"),
        told("bob", code::UNREGISTER_BROKER, "a"),
        told("bob", code::BROKER_HEARTBEAT, "a"),
        told("bob", code::QUERY_DATA_VERSION, "a"),
        told("bob", code::REGISTER_TOPIC_IN_NAMESRV, "a"),
    ];
    assert_eq!(*sink.0.lock(), expected);
    assert_eq!(address_of_a(&bench), before);
    assert!(!bench.ask(code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &[], b"").body().contains("new"));
    // Its owner moves it, and others have names of their own.
    assert_eq!(report(&bench, "ann", "a", B).code, response_code::SUCCESS);
    assert_eq!(report(&bench, "bob", "b", A).code, response_code::SUCCESS);
    let alive = bench.ask(code::BROKER_HEARTBEAT, &fields("ann", "a", B), b"");
    assert_eq!(alive.code, response_code::SUCCESS);
}

#[test]
fn a_name_is_free_once_its_broker_has_left_is_taken_out_or_has_lost_its_connection() {
    type Ending = fn(&Bench);
    let endings: [Ending; 3] = [
        |bench| {
            let left = bench.ask(code::UNREGISTER_BROKER, &fields("ann", "a", A), b"");
            assert_eq!(left.code, response_code::SUCCESS);
        },
        |bench| {
            bench.clock.advance(Duration::from_secs(121));
            assert_eq!(bench.service.expire(), 1);
        },
        |bench| bench.service.closed(&bench.connection),
    ];
    for end in endings {
        let bench = secure(Registration::default());
        assert_eq!(report(&bench, "ann", "a", A).code, response_code::SUCCESS);
        assert_eq!(report(&bench, "bob", "a", B).code, response_code::NO_PERMISSION);
        end(&bench);
        assert_eq!(report(&bench, "bob", "a", B).code, response_code::SUCCESS);
        assert_eq!(report(&bench, "ann", "a", A).code, response_code::NO_PERMISSION);
    }
}

#[test]
fn an_address_is_the_senders_own() {
    let from = |addresses| {
        let mut bench = secure(Registration { addresses, ..Registration::default() });
        let here = ([10, 0, 0, 9], 9876).into();
        bench.connection = Connection::detached(([10, 0, 0, 5], 40_000).into(), here);
        bench
    };
    let bench = from(Addresses::Source);
    let refused = report(&bench, "ann", "a", "10.0.0.6:10911");
    assert_eq!(refused.code, response_code::NO_PERMISSION);
    assert!(refused.remark.unwrap_or_default().contains("namesrv.registration.addresses"));
    assert_eq!(report(&bench, "ann", "a", "10.0.0.5:10911").code, response_code::SUCCESS);
    let bench = from(Addresses::Any);
    assert_eq!(report(&bench, "ann", "a", "10.0.0.6:10911").code, response_code::SUCCESS);
}

#[test]
fn brokers_without_users_are_their_hosts() {
    let mut bench = secure(Registration { addresses: Addresses::Any, ..Registration::default() });
    let here = ([10, 0, 0, 9], 9876).into();
    let host = |last, port| Connection::detached(([10, 0, 0, last], port).into(), here);
    bench.connection = host(5, 1);
    assert_eq!(report(&bench, "", "a", A).code, response_code::SUCCESS);
    bench.connection = host(6, 1);
    assert_eq!(report(&bench, "", "a", B).code, response_code::NO_PERMISSION);
    bench.connection = host(5, 2);
    assert_eq!(report(&bench, "", "a", A).code, response_code::SUCCESS);
}

/// Lets everybody do everything: as policies would, or as a plugin that has nothing against it.
struct Lets {
    decides: bool,
}

impl Hook for Lets {
    fn name(&self) -> &'static str {
        "lets"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authorize)
    }

    fn decides_who_may(&self) -> bool {
        self.decides
    }
}

#[test]
fn a_hook_at_authorize_that_is_no_policy_asks_nobody_who_he_is() {
    for (decides, expected) in
        [(true, response_code::NO_PERMISSION), (false, response_code::SUCCESS)]
    {
        let hook = Arc::new(Lets { decides }) as _;
        let mut bench = Bench::registering(Settings::default(), &[hook], Registration::default());
        let here = ([10, 0, 0, 9], 9876).into();
        bench.connection = Connection::detached(([10, 0, 0, 5], 40_000).into(), here);
        assert_eq!(report(&bench, "", "a", "10.0.0.6:10911").code, expected);
        assert_eq!(report(&bench, "", "b", "10.0.0.5:10911").code, response_code::SUCCESS);
        bench.connection = Connection::detached(([10, 0, 0, 7], 40_000).into(), here);
        assert_eq!(report(&bench, "", "b", "10.0.0.7:10911").code, expected);
    }
}

#[test]
fn where_nobody_is_asked_or_it_is_allowed_everybody_reports_everything() {
    let any = Registration { names: Names::Any, ..Registration::default() };
    for bench in [Bench::new(), secure(any)] {
        for (user, addr) in [("ann", A), ("bob", B), ("", A)] {
            assert_eq!(report(&bench, user, "a", addr).code, response_code::SUCCESS);
        }
        let left = bench.ask(code::UNREGISTER_BROKER, &fields("bob", "a", A), b"");
        assert_eq!(left.code, response_code::SUCCESS);
    }
}
