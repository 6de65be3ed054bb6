//! Name servers on real sockets, several in one process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::{Disk, MemDisk, RealDisk};
use blockhouse_hook::{BrokerRegistration, Hook, HookChain, Hooks, Point, Points, Verdict};
use blockhouse_model::RequestContext;
use blockhouse_namesrv::{Config, NameServer, Parts, Running};
use blockhouse_protocol::codes::request_code as code;
use blockhouse_protocol::encode::ExtWriter;
use blockhouse_protocol::header::namesrv::{GetKvConfig, PutKvConfig, RegisterBroker};
use blockhouse_service::{SystemClock, Tasks};
use blockhouse_transport::{Dialer, Endpoint, Limits, NoService, NoSessions};
use parking_lot::{Condvar, Mutex};
use tokio::time::error::Elapsed;

const PATIENCE: Duration = Duration::from_secs(5);

async fn start(data_dir: &Path, tasks: &Tasks, listen: &str) -> anyhow::Result<Running> {
    let mut config = Config { listen: listen.to_owned(), ..Config::default() };
    config.service.scan_interval_ms = 20;
    NameServer::start(config, parts(Arc::new(RealDisk), data_dir, Hooks::none(), tasks)).await
}

fn parts(disk: Arc<dyn Disk>, data_dir: &Path, hooks: Hooks, tasks: &Tasks) -> Parts {
    Parts {
        clock: Arc::new(SystemClock::new()),
        hooks: Arc::new(hooks),
        disk,
        data_dir: data_dir.to_owned(),
        tasks: tasks.clone(),
        budget: None,
        tls: None,
        meter: Arc::default(),
        users: None,
        acls: None,
    }
}

fn dialer() -> Dialer {
    Dialer::new(Endpoint::new(Arc::new(NoService), Arc::new(NoSessions), Limits::default()))
}

fn register(timeout_ms: Option<i64>) -> impl Fn(&mut ExtWriter<'_>) {
    move |out| {
        let header = RegisterBroker {
            broker_name: "a",
            broker_addr: "127.0.0.1:1",
            cluster_name: "c",
            ha_server_addr: "127.0.0.1:2",
            broker_id: 0,
            heartbeat_timeout_millis: timeout_ms,
            enable_acting_master: Some(false),
            compressed: false,
            body_crc32: 0,
        };
        header.write(out);
    }
}

#[tokio::test]
async fn a_broker_is_there_until_its_connection_ends_or_it_is_silent() {
    let dir = tempfile::tempdir().unwrap();
    let tasks = Tasks::new("test");
    let running = start(dir.path(), &tasks, "127.0.0.1:0").await.unwrap();
    let addr = running.local_addr().to_string();
    let dialer = dialer();

    let leaving = dialer.connect(&addr, PATIENCE).await.unwrap();
    let answer = leaving.call(code::REGISTER_BROKER, register(None), b"", PATIENCE).await.unwrap();
    assert_eq!((answer.code, running.service().counts()), (0, (1, 0)));
    leaving.close();
    leaving.ended().await;
    let staying = dialer.connect(&addr, PATIENCE).await.unwrap();
    let gone = async {
        while running.service().counts() != (0, 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();

    // A silent broker is cut off.
    staying.call(code::REGISTER_BROKER, register(Some(50)), b"", PATIENCE).await.unwrap();
    tokio::time::timeout(PATIENCE, staying.ended()).await.unwrap();
    assert_eq!(running.service().counts(), (0, 0));

    running.stop().await;
    assert!(dialer.connect(&addr, PATIENCE).await.is_err());
    assert_eq!(tasks.running(), Vec::<String>::new());
}

#[tokio::test]
async fn two_run_in_one_process_and_kv_entries_outlive_a_restart() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let tasks = Tasks::new("test");
    let first = start(dirs[0].path(), &tasks, "127.0.0.1:0").await.unwrap();
    let second = start(dirs[1].path(), &tasks, "127.0.0.1:0").await.unwrap();
    let third = tempfile::tempdir().unwrap();
    let taken = start(third.path(), &tasks, &second.local_addr().to_string()).await;
    assert!(taken.unwrap_err().to_string().contains("listener"));
    let in_use = start(dirs[1].path(), &tasks, "127.0.0.1:0").await.unwrap_err();
    assert!(format!("{in_use:#}").contains("in use by another name server"), "{in_use:#}");

    let dialer = dialer();
    let to_first = dialer.connect(&first.local_addr().to_string(), PATIENCE).await.unwrap();
    let put = PutKvConfig { namespace: "n", key: "k", value: "v" };
    let put = to_first.call(code::PUT_KV_CONFIG, |out| put.write(out), b"", PATIENCE).await;
    assert_eq!(put.unwrap().code, 0);
    first.stop().await;

    let again = start(dirs[0].path(), &tasks, "127.0.0.1:0").await.unwrap();
    for (server, expected) in [(&again, Some("v")), (&second, None)] {
        let connection = dialer.connect(&server.local_addr().to_string(), PATIENCE).await.unwrap();
        let get = GetKvConfig { namespace: "n", key: "k" };
        let got = connection.call(code::GET_KV_CONFIG, |out| get.write(out), b"", PATIENCE).await;
        assert_eq!(got.unwrap().ext.get("value"), expected);
    }
    again.stop().await;
    second.stop().await;
    assert_eq!(tasks.running(), Vec::<String>::new());
}

/// One that has as long as it likes for the answers it owes.
async fn patient(disk: Arc<dyn Disk>, hooks: Hooks, tasks: &Tasks) -> anyhow::Result<Running> {
    let mut config = Config { listen: "127.0.0.1:0".to_owned(), ..Config::default() };
    config.limits.drain_ms = 3_600_000;
    NameServer::start(config, parts(disk, Path::new("/data"), hooks, tasks)).await
}

/// Waits until it is so; an error if that takes too long.
async fn until(is_so: impl Fn() -> bool) -> Result<(), Elapsed> {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await
}

/// Less than a stop has, so that the test need not take that long.
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_stop_does_not_wait_for_an_answer_that_does_not_come() {
    let (disk, tasks) = (MemDisk::new(), Tasks::new("test"));
    let running = patient(Arc::new(disk.clone()), Hooks::none(), &tasks).await.unwrap();
    let (dialer, addr) = (dialer(), running.local_addr().to_string());
    let connection = dialer.connect(&addr, PATIENCE).await.unwrap();
    disk.hold_syncs(true);
    let put = PutKvConfig { namespace: "n", key: "k", value: "v" };
    let put = connection.call(code::PUT_KV_CONFIG, |out| put.write(out), b"", PATIENCE);
    let stage = running.stage();
    let stop = async {
        until(|| tasks.running().contains(&"namesrv/save".to_owned())).await.unwrap();
        tokio::time::timeout(PATIENCE, running.stop_within(SHORT)).await
    };
    let (answer, stopped) = tokio::join!(put, stop);
    let left = tasks.running();
    // The runtime's end waits for that thread, whatever fails here.
    disk.hold_syncs(false);
    assert!(stopped.is_ok(), "it waits for the answer");
    assert!(answer.is_err(), "nobody was told that it is saved");
    assert_eq!(stage.borrow().doing(), "it waits for clients");
    assert_eq!(left, ["namesrv/save"], "the disk has it, and nothing else goes on");
    assert!(dialer.connect(&addr, PATIENCE).await.is_err());
    tasks.ended().await;
}

/// Holds a thread until it is let go.
#[derive(Default)]
struct Stuck(Mutex<[bool; 2]>, Condvar);

impl Stuck {
    fn is_asked(&self) -> bool {
        self.0.lock()[0]
    }

    fn let_go(&self) {
        self.0.lock()[1] = true;
        self.1.notify_all();
    }
}

impl Hook for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::BrokerRegistration)
    }

    fn broker_registration(&self, _: &RequestContext, _: &BrokerRegistration<'_>) -> Verdict {
        let mut state = self.0.lock();
        state[0] = true;
        self.1.wait_while(&mut state, |[_, may_go]| !*may_go);
        Verdict::Continue
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_stop_does_not_wait_for_a_hook_that_does_not_return() {
    let (stuck, tasks) = (Arc::new(Stuck::default()), Tasks::new("test"));
    let hooks = Hooks::new(HookChain::new(&[Arc::clone(&stuck) as Arc<dyn Hook>]));
    let running = patient(Arc::new(MemDisk::new()), hooks, &tasks).await.unwrap();
    let (dialer, addr) = (dialer(), running.local_addr().to_string());
    let connection = dialer.connect(&addr, PATIENCE).await.unwrap();
    let asked = connection.call(code::REGISTER_BROKER, register(None), b"", PATIENCE);
    let stop = async {
        until(|| stuck.is_asked()).await.unwrap();
        let stopped = tokio::time::timeout(PATIENCE, running.stop_within(SHORT)).await;
        stuck.let_go();
        stopped
    };
    let (_answer, stopped) = tokio::join!(asked, stop);
    assert!(stopped.is_ok(), "it waits for the hook");
    assert_eq!(tasks.running(), Vec::<String>::new());
}
