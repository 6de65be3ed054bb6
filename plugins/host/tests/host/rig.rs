//! Components, hosts on them, and requests.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use blockhouse_disk::{Disk, RealDisk, whole};
use blockhouse_hook::{Auditor, Decision, Draft, Hook, HookChain, Hooks};
use blockhouse_host::host::component_path;
use blockhouse_host::{
    Binding, Compiler, Config, Error, Grants, HookStatus, Host, Node, Parts, Publisher, Role,
};
use blockhouse_model::{Clock, Principal, RequestContext, Timestamp};
use blockhouse_package::{Digest, Manifest};
use parking_lot::Mutex;
use tempfile::TempDir;

#[derive(Debug)]
struct RealClock(Instant);

#[expect(clippy::disallowed_methods, reason = "deadlines are about real time")]
impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(0))
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The component of a package of `plugins/conformance/guest`, or of one of the bundled plugins, compiled
/// once per process.
pub(crate) fn component(package: &str) -> Arc<[u8]> {
    static BUILT: Mutex<Option<HashMap<String, Arc<[u8]>>>> = Mutex::new(None);
    let mut built = BUILT.lock();
    let built = built.get_or_insert_default();
    if let Some(bytes) = built.get(package) {
        return Arc::clone(bytes);
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_bundled = here.join("../bundled").join(package).is_dir();
    let workspace = if is_bundled { "../bundled" } else { "../conformance/guest" };
    let mut request = blockhouse_build::Request::new(here.join(workspace), path);
    request.package = Some(package.to_owned());
    request.target_dir = Some(here.join("../../target/guests"));
    request.locked = true;
    let component = blockhouse_build::build(&RealDisk, &request).unwrap_or_else(|e| panic!("{e}"));
    let bytes: Arc<[u8]> = component.component.into();
    built.insert(package.to_owned(), Arc::clone(&bytes));
    bytes
}

/// The sample with its manifest in it, after a change.
pub(crate) fn packed(change: impl FnOnce(String) -> String) -> Vec<u8> {
    let manifest = include_str!("../../../conformance/guest/plugin.toml").to_owned();
    let manifest = Manifest::parse(change(manifest).as_bytes()).unwrap();
    let packed = blockhouse_package::component::embed(&component("conformance"), &manifest);
    packed.unwrap().to_vec()
}

/// The sample in this version.
pub(crate) fn version(version: &str) -> Vec<u8> {
    packed(|m| m.replacen("\"0.1.0\"", &format!("\"{version}\""), 1))
}

/// Real time, and more where a test says so.
#[derive(Debug)]
pub(crate) struct TestClock {
    real: RealClock,
    ahead: AtomicU64,
    /// How far it runs ahead with each look.
    step: AtomicU64,
    /// Where real time was when it was told to stand still.
    stood_at: OnceLock<Duration>,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        #[expect(clippy::disallowed_methods, reason = "deadlines are about real time")]
        let real = RealClock(Instant::now());
        let (ahead, step) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { real, ahead, step, stood_at: OnceLock::new() })
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(u64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
    }

    /// From now on only [`TestClock::advance`] moves it, however long the machine takes.
    pub(crate) fn stand_still(&self) {
        self.stood_at.get_or_init(|| self.real.monotonic());
    }

    /// From now on everything seems to take so long.
    pub(crate) fn slow(&self, step: Duration) {
        self.step.store(u64::try_from(step.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.real.now()
    }

    fn monotonic(&self) -> Duration {
        self.ahead.fetch_add(self.step.load(Ordering::SeqCst), Ordering::SeqCst);
        let real = self.stood_at.get().copied().unwrap_or_else(|| self.real.monotonic());
        real + Duration::from_nanos(self.ahead.load(Ordering::SeqCst))
    }
}

/// A directory with components, and the chain of the hosts that are started on it.
pub(crate) struct Shelf {
    dir: TempDir,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) auditor: Arc<Auditor>,
    pub(crate) clock: Arc<TestClock>,
    /// Hooks that stand before all plugins.
    pub(crate) native: Vec<Arc<dyn Hook>>,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (hooks, native) = (Arc::new(Hooks::none()), Vec::new());
        let clock = TestClock::new();
        let auditor = Arc::new(Auditor::new(Arc::clone(&clock) as Arc<dyn Clock>));
        hooks.audit_with(&auditor);
        Self { dir, hooks, auditor, clock, native }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("blockhouse/plugins")
    }

    /// Puts a component there; gives its digest.
    pub(crate) fn put(&self, bytes: &[u8]) -> String {
        let digest = Digest::of(bytes).to_string();
        whole::replace(&RealDisk, &self.path(&digest), bytes).unwrap();
        digest
    }

    pub(crate) fn path(&self, digest: &str) -> PathBuf {
        component_path(&self.dir(), digest)
    }

    pub(crate) fn start(&self, bindings: Vec<Binding>) -> Result<Option<Host>, Error> {
        self.start_with(&Config { binding: bindings, ..Config::default() })
    }

    pub(crate) fn start_with(&self, config: &Config) -> Result<Option<Host>, Error> {
        self.start_on(config, Arc::new(RealDisk), None)
    }

    pub(crate) fn start_on(
        &self,
        config: &Config,
        disk: Arc<dyn Disk>,
        publisher: Option<Arc<dyn Publisher>>,
    ) -> Result<Option<Host>, Error> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let node = Node {
            role: Role::Broker,
            name: "node".to_owned(),
            cluster: "cluster".to_owned(),
            address: "127.0.0.1:10911".to_owned(),
            version: "0".to_owned(),
        };
        let hooks = Arc::clone(&self.hooks);
        let (dir, native, compiler) = (self.dir(), self.native.clone(), Compiler::InProcess);
        let parts = Parts { disk, dir, compiler, clock, cores: 1, node, hooks, native, publisher };
        config.validate().unwrap();
        Host::start(config, parts)
    }
}

pub(crate) const ALL: Grants = Grants {
    log: true,
    metrics: true,
    clock: true,
    kv: true,
    message_bodies: true,
    http: Vec::new(),
    publish: Vec::new(),
};

/// A binding of `digest` with everything granted and time enough for a busy machine.
pub(crate) fn binding(digest: &str, config: &str) -> Binding {
    let text = format!(r#"{{"name": "sample", "digest": "{digest}", "deadline_ms": 50}}"#);
    let mut binding: Binding = serde_json::from_str(&text).unwrap();
    binding.grants = ALL;
    binding.config = serde_json::from_str(config).unwrap();
    binding
}

/// The sample, bound, in a chain of its own.
pub(crate) struct Sample {
    pub(crate) host: Host,
    pub(crate) chain: HookChain,
    pub(crate) shelf: Shelf,
}

impl Sample {
    pub(crate) fn new(config: &str) -> Self {
        Self::with(config, |_| {})
    }

    pub(crate) fn with(config: &str, change: impl FnOnce(&mut Binding)) -> Self {
        let shelf = Shelf::new();
        let digest = shelf.put(&component("conformance"));
        let mut binding = binding(&digest, config);
        change(&mut binding);
        let host = shelf.start(vec![binding]).unwrap().unwrap();
        let chain = HookChain::new(&host.hooks()).audited(&shelf.auditor);
        Self { host, chain, shelf }
    }

    /// How often calls of `hook` failed, by kind.
    pub(crate) fn failures(&self, hook: &str) -> Vec<(&'static str, u64)> {
        let status = self.host.status();
        let hook = status[0].hooks.iter().find(|h| h.hook.name() == hook).unwrap();
        hook.failures.iter().map(|(kind, count)| (*kind, *count)).collect()
    }

    pub(crate) fn objections(&self, hook: &str) -> u64 {
        self.hook(hook).objections
    }

    pub(crate) fn hook(&self, hook: &str) -> HookStatus {
        let status = self.host.status();
        status[0].hooks.iter().find(|h| h.hook.name() == hook).unwrap().clone()
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        self.host.close();
    }
}

pub(crate) fn request(user: Option<&str>) -> RequestContext {
    RequestContext {
        principal: user.map_or(Principal::Anonymous, |name| Principal::User(name.into())),
        ..RequestContext::new("10.1.2.3:4567".parse().unwrap(), 7, 310)
    }
}

pub(crate) fn draft<'a>(topic: &'a str, body: &'a str) -> Draft<'a> {
    Draft {
        topic,
        producer_group: "producers",
        queue: None,
        body: Cow::Borrowed(body.as_bytes()),
        properties: Cow::Borrowed("TAGS\u{1}red\u{2}"),
        decision: Decision::Admit,
    }
}

/// What became of messages with these bodies.
pub(crate) fn sent(chain: &HookChain, bodies: &[&str]) -> Vec<(Decision, Vec<u8>, String)> {
    let mut drafts: Vec<_> = bodies.iter().map(|body| draft("orders", body)).collect();
    chain.before_send(&request(Some("ann")), &mut drafts);
    let fate = |d: Draft<'_>| (d.decision, d.body.into_owned(), d.properties.into_owned());
    drafts.into_iter().map(fate).collect()
}
