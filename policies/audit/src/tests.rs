//! The log as a whole, on simulated disks, with the test in the place of its thread.

mod awaiting;
mod crash;
mod failure;
mod integrity;
mod merging;
mod retention;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::Disk;
use blockhouse_hook::{
    AdminCommand, AuditEvent, Auditor, HookChain, Outcome, PluginEvent, Point, Points, Subject,
};
use blockhouse_meter::AuditCounts;
use blockhouse_model::{ManualClock, RequestContext, Timestamp};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::engine::{Engine, Status};
use crate::queue::Queue;
use crate::writer::Writer;
use crate::{Config, Error, Record, Report, Request, public_key, records, verify};

/// A log whose turns the test takes.
pub(super) struct Bench {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) clock: Arc<ManualClock>,
    pub(super) counts: Arc<AuditCounts>,
    pub(super) status: Arc<Mutex<Status>>,
    pub(super) queue: Queue,
    engine: Engine,
    sequence: u64,
}

impl Bench {
    pub(super) fn open(disk: Arc<dyn Disk>, config: &Config) -> Result<Self, Error> {
        Self::at(disk, Path::new("/data/blockhouse/audit"), config, 1_000_000)
    }

    pub(super) fn at(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: &Config,
        now: i64,
    ) -> Result<Self, Error> {
        let clock = Arc::new(ManualClock::at(Timestamp(now)));
        let counts = Arc::new(AuditCounts::default());
        let status = Arc::new(Mutex::new(Status::default()));
        let (writer, first) =
            Writer::open(Arc::clone(&disk), dir, config.clone(), "broker-a", Timestamp(now))?;
        let engine = Engine::new(
            writer,
            first,
            Arc::clone(&clock) as _,
            Arc::clone(&counts),
            Arc::clone(&status),
        )
        .map_err(Error::disk(dir))?;
        let dir = dir.to_owned();
        let queue = Queue::default();
        Ok(Self { disk, dir, clock, counts, status, queue, engine, sequence: 0 })
    }

    pub(super) fn put(&mut self, mut event: AuditEvent) {
        use blockhouse_model::Clock as _;
        self.sequence += 1;
        event.sequence = self.sequence;
        event.time = self.clock.now();
        self.queue.put(&event, self.clock.monotonic(), &self.counts);
    }

    /// An admin command, and whether it was durable in time.
    pub(super) fn admin(&mut self, target: &str) -> bool {
        self.put(admin(target, Outcome::Allowed));
        self.settle()
    }

    pub(super) fn takes_commands(&self) -> bool {
        self.queue.takes_commands()
    }

    pub(super) fn settle(&mut self) -> bool {
        let (tell, mut told) = oneshot::channel();
        self.queue.wait(tell);
        self.turn();
        told.try_recv().unwrap_or(false)
    }

    pub(super) fn turn(&mut self) {
        use blockhouse_model::Clock as _;
        let work = self.queue.take(self.clock.monotonic(), self.engine.takes_events());
        self.engine.turn(work);
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.turn();
    }

    pub(super) fn close(mut self) {
        self.queue.is_stopping = true;
        self.turn();
    }

    pub(super) fn records(&self) -> Vec<Record> {
        all(&self.disk, &self.dir)
    }

    pub(super) fn verify(&self) -> Report {
        check(&self.disk, &self.dir, None)
    }
}

pub(super) fn all(disk: &Arc<dyn Disk>, dir: &Path) -> Vec<Record> {
    let mut found = Vec::new();
    records(Arc::clone(disk), dir, &mut |_, record| {
        found.push(record.unwrap());
        true
    })
    .unwrap();
    found
}

pub(super) fn check(disk: &Arc<dyn Disk>, dir: &Path, checkpoint: Option<String>) -> Report {
    let key = public_key(disk.as_ref(), dir).unwrap();
    verify(disk.as_ref(), dir, &Request { key, checkpoint }).unwrap()
}

/// An event as the auditor makes it.
pub(super) fn event(tell: impl FnOnce(&Auditor)) -> AuditEvent {
    struct Keep(Mutex<Option<AuditEvent>>);
    impl blockhouse_hook::Hook for Keep {
        fn name(&self) -> &str {
            "keep"
        }
        fn points(&self) -> Points {
            Points::NONE.with(Point::AuditSink)
        }
        fn audit(&self, events: &[AuditEvent]) {
            *self.0.lock() = events.first().cloned();
        }
    }
    let auditor = Arc::new(Auditor::new(Arc::new(ManualClock::default())));
    let keep = Arc::new(Keep(Mutex::default()));
    let _chain = HookChain::new(&[Arc::clone(&keep) as _]).audited(&auditor);
    tell(&auditor);
    let kept = keep.0.lock().take();
    kept.unwrap()
}

/// What is carried out once it is recorded.
pub(super) fn admin(target: &str, outcome: Outcome) -> AuditEvent {
    let cx = RequestContext::new(([10, 0, 0, 7], 4_711).into(), 9, 17);
    let command = AdminCommand { name: "UPDATE_AND_CREATE_TOPIC", target };
    event(|auditor| {
        let decided =
            blockhouse_hook::Decided { outcome, by: "acl", shadow: false, reason: "no\nrights" };
        auditor.tell(Subject::Announced(&cx, &command), decided);
    })
}

/// What was told after it was done, with its reason.
pub(super) fn done(target: &str, reason: &str) -> AuditEvent {
    let cx = RequestContext::new(([0, 0, 0, 0], 0).into(), 0, 0);
    let command = AdminCommand { name: "policy-reload", target };
    event(|auditor| {
        let outcome = Outcome::Allowed;
        let decided = blockhouse_hook::Decided { outcome, by: "authz", shadow: false, reason };
        auditor.tell(Subject::Admin(&cx, &command), decided);
    })
}

pub(super) fn plugin(name: &str) -> AuditEvent {
    event(|auditor| {
        auditor.plugin(&PluginEvent {
            name,
            action: "deploy",
            outcome: Outcome::Allowed,
            reason: "",
            caller: None,
        });
    })
}

pub(super) fn targets(records: &[Record]) -> Vec<String> {
    records.iter().filter(|r| r.unmapped.kind != "audit").map(|r| r.resource().to_owned()).collect()
}

#[test]
fn what_was_told_is_recorded_in_order_and_signed() {
    let disk: Arc<dyn Disk> = Arc::new(blockhouse_disk::MemDisk::new());
    let mut bench = Bench::open(Arc::clone(&disk), &Config::default()).unwrap();
    bench.put(plugin("acl"));
    assert!(bench.admin("orders"));
    bench.put(admin("bills", Outcome::Refused));
    bench.turn();
    assert_eq!(bench.verify().unsigned, 1, "a refusal is signed within a second");
    bench.pass(Duration::from_secs(1));
    let report = bench.verify();
    assert_eq!((report.records, report.unsigned, report.findings), (4, 0, vec![]));
    let dir = bench.dir.clone();
    bench.close();

    let records = all(&disk, &dir);
    let told: Vec<_> = records
        .iter()
        .map(|r| (r.metadata.sequence, &*r.unmapped.kind, &*r.unmapped.outcome, r.class_uid))
        .collect();
    assert_eq!(
        told,
        [
            (0, "audit", "allowed", 6_002),
            (1, "plugin", "allowed", 6_002),
            (2, "admin_command", "allowed", 6_003),
            (3, "admin_command", "refused", 6_003),
            (4, "audit", "allowed", 6_002),
        ]
    );
    let refused = &records[3];
    assert_eq!(refused.status_detail, "no\nrights");
    assert_eq!((refused.peer().as_str(), refused.principal()), ("10.0.0.7:4711", "anonymous"));
    assert_eq!((refused.resource(), refused.decided_by()), ("bills", "acl"));
    assert_eq!(check(&disk, &dir, None).unsigned, 0);

    // The next process goes on.
    let bench = Bench::at(disk, &dir, &Config::default(), 2_000_000).unwrap();
    assert_eq!(bench.records().len(), 6);
    assert_eq!(bench.verify().findings, []);
}

#[test]
fn every_record_has_what_its_class_requires() {
    let disk: Arc<dyn Disk> = Arc::new(blockhouse_disk::MemDisk::new());
    let mut bench = Bench::open(Arc::clone(&disk), &Config::default()).unwrap();
    let cx = RequestContext::new(([10, 0, 0, 7], 4_711).into(), 9, 10);
    let peer =
        blockhouse_hook::ConnectionInfo { id: 1, peer: cx.peer, local: cx.peer, secure: false };
    let decided =
        |outcome| blockhouse_hook::Decided { outcome, by: "x", shadow: false, reason: "" };
    let all_subjects = [
        Subject::Opened(&peer),
        Subject::Closed(&peer),
        Subject::Shut(&peer, "frame"),
        Subject::Unknown(&cx, ""),
        Subject::Authenticate(&cx, "key"),
        Subject::Authorize(&cx, &[]),
        Subject::Send(&cx, "t"),
        Subject::Route(&cx, "t"),
    ];
    for subject in all_subjects {
        for outcome in Outcome::ALL {
            bench.put(event(|auditor| auditor.tell(subject, decided(outcome))));
        }
    }
    bench.put(plugin("acl"));
    bench.admin("orders");
    records(disk, &bench.dir, &mut |line, _| {
        let json: serde_json::Value = serde_json::from_slice(line).unwrap();
        let number = |name: &str| json[name].as_u64().unwrap_or_else(|| panic!("{name} in {json}"));
        assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
        assert_eq!(number("category_uid"), number("class_uid") / 1_000);
        assert!(number("severity_id") > 0 && json["time"].is_i64(), "{json}");
        assert_eq!(json["metadata"]["version"], "1.6.0");
        assert!(json["metadata"]["product"]["name"].is_string());
        let required: &[&str] = match number("class_uid") {
            3_002 => &["/user/name", "/service/name"],
            4_001 => &["/src_endpoint/ip"],
            6_002 => &["/app/name"],
            6_003 => &["/actor/user/name", "/api/operation", "/src_endpoint/ip"],
            other => panic!("class {other}"),
        };
        for pointer in required {
            assert!(json.pointer(pointer).is_some(), "{pointer} in {json}");
        }
        true
    })
    .unwrap();
}

#[test]
fn a_plugins_record_says_who_asked_and_nobody_where_nobody_did() {
    let disk: Arc<dyn Disk> = Arc::new(blockhouse_disk::MemDisk::new());
    let mut bench = Bench::open(Arc::clone(&disk), &Config::default()).unwrap();
    let principal = blockhouse_model::Principal::User("ann".into());
    let cx =
        RequestContext { principal, ..RequestContext::new(([10, 0, 0, 7], 4_711).into(), 9, 0) };
    let nobody = RequestContext::new(([10, 0, 0, 8], 4_712).into(), 10, 0);
    for caller in [Some(&cx), Some(&nobody), None] {
        let (action, outcome, reason) = ("deploy", Outcome::Allowed, "");
        let told = PluginEvent { name: "acl", action, outcome, reason, caller };
        bench.put(event(|auditor| auditor.plugin(&told)));
    }
    bench.admin("orders");
    let records: Vec<_> =
        all(&disk, &bench.dir).into_iter().filter(|r| r.unmapped.kind == "plugin").collect();
    let who: Vec<_> = records.iter().map(Record::principal).collect();
    assert_eq!(who, ["ann", "anonymous", ""]);
}

#[test]
fn the_names_of_kinds_are_those_that_are_counted() {
    use blockhouse_hook::AuditKind as K;
    for kind in [
        K::Connection,
        K::Authentication,
        K::Authorization,
        K::Send,
        K::Delivery,
        K::AdminCommand,
        K::BrokerRegistration,
        K::RouteQuery,
        K::Plugin,
    ] {
        assert_eq!(blockhouse_meter::AUDIT_KINDS[kind as usize], crate::kind_name(kind));
    }
}
