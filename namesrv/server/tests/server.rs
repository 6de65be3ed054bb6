//! Name servers on real sockets, several in one process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_disk::RealDisk;
use blockhouse_hook::Hooks;
use blockhouse_namesrv::{Config, NameServer, Parts, Running};
use blockhouse_protocol::codes::request_code as code;
use blockhouse_protocol::encode::ExtWriter;
use blockhouse_protocol::header::namesrv::{GetKvConfig, PutKvConfig, RegisterBroker};
use blockhouse_service::{SystemClock, Tasks};
use blockhouse_transport::{Dialer, Endpoint, Limits, NoService, NoSessions};

const PATIENCE: Duration = Duration::from_secs(5);

async fn start(data_dir: &Path, tasks: &Tasks, listen: &str) -> anyhow::Result<Running> {
    let mut config = Config { listen: listen.to_owned(), ..Config::default() };
    config.service.scan_interval_ms = 20;
    let parts = Parts {
        clock: Arc::new(SystemClock::new()),
        hooks: Arc::new(Hooks::none()),
        disk: Arc::new(RealDisk),
        data_dir: data_dir.to_owned(),
        tasks: tasks.clone(),
        budget: None,
        tls: None,
        meter: Arc::default(),
        users: None,
        acls: None,
    };
    NameServer::start(config, parts).await
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
