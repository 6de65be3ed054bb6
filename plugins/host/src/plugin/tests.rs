//! Instances that are being made, or at work, just when the process begins to serve requests. They are
//! of the sample, which is compiled for that: `./test` leaves these out where nothing compiles for WASM.

use std::cell::Cell;
use std::path::Path;

use blockhouse_disk::{RealDisk, whole};
use blockhouse_hook::Hooks;
use blockhouse_model::ManualClock;
use blockhouse_package::Digest;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::host::component_path;
use crate::keeper::{CHORES_MAX, Watched};
use crate::set::Change;
use crate::{Compiler, Config, Host, Node, Parts, Role};

/// An instance for the one core, and its spare.
const READY: usize = 2;
const EVER: Duration = Duration::MAX;
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells whoever waits that the keeper has done what it was asked before.
struct Done(std::sync::mpsc::SyncSender<()>);

impl Watched for Done {
    fn look(&self) -> Option<Duration> {
        // Nobody waits for a second look.
        let _full = self.0.try_send(());
        None
    }
}

/// Keeps the keeper at work until its other end is gone.
struct Held(Mutex<std::sync::mpsc::Receiver<()>>);

impl Watched for Held {
    fn look(&self) -> Option<Duration> {
        let _end = self.0.lock().recv();
        None
    }
}

fn component() -> Vec<u8> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut request = blockhouse_build::Request::new(here.join("../conformance/guest"), path);
    request.package = Some("conformance".to_owned());
    request.target_dir = Some(here.join("../../target/guests"));
    request.locked = true;
    blockhouse_build::build(&RealDisk, &request).unwrap().component
}

/// The sample in a host that no request comes to.
struct Rig {
    host: Host,
    plugin: Arc<Plugin>,
    _dir: TempDir,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bytes = component();
        let digest = Digest::of(&bytes).to_string();
        whole::replace(&RealDisk, &component_path(dir.path(), &digest), &bytes).unwrap();
        let binding = serde_json::json!({
            "name": "sample", "digest": digest, "hooks": ["authorize"],
            "grants": {"log": true, "metrics": true, "clock": true, "kv": true, "message-bodies": true},
        });
        let binding = vec![serde_json::from_value(binding).unwrap()];
        let node = Node {
            role: Role::Broker,
            name: "node".to_owned(),
            cluster: String::new(),
            address: String::new(),
            version: "0".to_owned(),
        };
        let parts = Parts {
            disk: Arc::new(RealDisk),
            dir: dir.path().to_owned(),
            compiler: Compiler::InProcess,
            clock: Arc::new(ManualClock::default()),
            cores: 1,
            node,
            hooks: Arc::new(Hooks::none()),
            native: Vec::new(),
            publisher: None,
        };
        let host = Host::start(&Config { binding, ..Config::default() }, parts).unwrap().unwrap();
        let plugin = Arc::clone(&host.set.state.lock().members["sample"].plugin);
        let rig = Self { host, plugin, _dir: dir };
        rig.wait_for_keeper();
        assert_eq!(rig.counted(), (READY, 0), "all are there, and none was told");
        rig
    }

    fn loaded(&self) -> &Loaded {
        self.plugin.loaded.as_ref().unwrap()
    }

    /// Waits until what the keeper was asked so far is done, and what it asked itself meanwhile.
    fn wait_for_keeper(&self) {
        for _ in 0..2 {
            let (done, is_done) = std::sync::mpsc::sync_channel(1);
            let done: Arc<dyn Watched> = Arc::new(Done(done));
            self.plugin.keeper.look(Arc::downgrade(&done));
            is_done.recv_timeout(PATIENCE).unwrap();
        }
    }

    /// Ready instances, and how many of them were told of the start.
    fn counted(&self) -> (usize, usize) {
        let (ready, told) = (Cell::new(0), Cell::new(0));
        self.loaded().pool.take_all(|guest| {
            ready.set(ready.get() + 1);
            told.set(told.get() + usize::from(guest.knows_start));
            false
        });
        (ready.get(), told.get())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.host.close();
    }
}

#[test]
fn an_instance_that_was_made_just_before_is_told() {
    let rig = Rig::new();
    // A place for one more, which the keeper fills at this very moment.
    drop(rig.loaded().pool.take());
    rig.plugin.lost_one();
    let made = rig.plugin.make(rig.loaded(), Duration::ZERO).unwrap();
    rig.host.process_started();
    assert!(!made.knows_start, "nobody could tell it: it is on no shelf");
    assert!(rig.plugin.put(rig.loaded(), made).is_none());
    rig.wait_for_keeper();
    assert_eq!(rig.counted(), (READY, READY));
}

#[test]
fn an_instance_that_is_at_work_is_told_when_it_is_done() {
    let rig = Rig::new();
    let now = Duration::ZERO;
    let busy = rig.plugin.take(rig.loaded(), now).unwrap();
    rig.host.process_started();
    assert_eq!(rig.counted(), (READY - 1, READY - 1));
    rig.plugin.give_back(rig.loaded(), busy, now);
    rig.wait_for_keeper();
    assert_eq!(rig.counted(), (READY, READY));
}

#[test]
fn one_that_comes_back_often_before_it_is_told_leaves_the_keeper_room_for_others() {
    let rig = Rig::new();
    let now = Duration::ZERO;
    let take = || rig.plugin.take(rig.loaded(), now).unwrap();
    let (mut busy, last) = (take(), take());
    rig.host.process_started();
    let (release, held) = std::sync::mpsc::sync_channel(1);
    let held: Arc<dyn Watched> = Arc::new(Held(Mutex::new(held)));
    rig.plugin.keeper.look(Arc::downgrade(&held));
    for _ in 0..=CHORES_MAX {
        rig.plugin.give_back(rig.loaded(), busy, now);
        busy = take();
    }
    rig.plugin.give_back(rig.loaded(), busy, now);
    // What others ask of the keeper now is done.
    let (done, is_done) = std::sync::mpsc::sync_channel(1);
    let done: Arc<dyn Watched> = Arc::new(Done(done));
    rig.plugin.keeper.look(Arc::downgrade(&done));
    drop(release);
    is_done.recv_timeout(PATIENCE).unwrap();
    assert_eq!(rig.counted(), (READY - 1, READY - 1));
    // And who comes later is greeted as well.
    rig.plugin.give_back(rig.loaded(), last, now);
    rig.wait_for_keeper();
    assert_eq!(rig.counted(), (READY, READY));
}

#[test]
fn nobody_is_told_of_the_start_once_the_process_stops() {
    let rig = Rig::new();
    let now = Duration::ZERO;
    let (busy, _other) = (rig.plugin.take(rig.loaded(), now).unwrap(), rig.loaded().pool.take());
    rig.host.process_started();
    rig.plugin.process_stopping(EVER);
    rig.plugin.give_back(rig.loaded(), busy, now);
    rig.wait_for_keeper();
    assert_eq!(rig.counted(), (1, 0));
    assert!(!rig.plugin.make(rig.loaded(), now).unwrap().knows_start, "made for a last call");
}

#[test]
fn an_instance_that_takes_other_settings_meanwhile_is_told() {
    let rig = Rig::new();
    let told = rig.plugin.tell_first("{}").unwrap();
    rig.host.process_started();
    rig.plugin.set_settings("{}", told);
    rig.wait_for_keeper();
    assert_eq!(rig.counted(), (READY, READY));
}

#[test]
fn a_plugin_that_comes_into_force_meanwhile_is_told() {
    let rig = Rig::new();
    let (set, record) = (&rig.host.set, rig.host.set.state.lock().record.clone());
    let late = set.state.lock().members.remove("sample").unwrap();
    set.warm_up(&late, EVER);
    rig.host.process_started();
    assert_eq!(rig.counted(), (READY, 0), "it is not in force");
    set.put_in_force(Change { record, put: vec![late], taken: Vec::new(), watch: false });
    assert_eq!(rig.counted(), (READY, READY));
}
