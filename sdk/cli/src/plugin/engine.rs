//! A plugin in the engine of the node, without a node.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use blockhouse_disk::{MemDisk, whole};
use blockhouse_hook::{HookChain, Hooks};
use blockhouse_host::host::component_path;
use blockhouse_host::{
    Binding, Compiler, Config, HookStatus, Host, Node, Outgoing, Parts, PublishError, Publisher,
    Role,
};
use blockhouse_model::{Principal, RequestContext};
use blockhouse_package::Package;
use blockhouse_protocol::codes::request_code;
use blockhouse_service::SystemClock;
use serde::Deserialize;

use super::{binding, build, files};
use crate::wrong_use;

/// Time for a call where the binding does not say: this machine may be busy with other things.
const DEADLINE_MS: u32 = 50;

/// Which plugin, and how it is bound.
#[derive(Debug, clap::Args)]
pub(super) struct PluginArgs {
    /// The component, or a plugin's directory, which is built first
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    pub(super) path: PathBuf,
    /// Bind it as the first [[plugins.binding]] of this TOML file does; the digest there does not
    /// matter. Without it everything is granted, and a call has 50 ms
    #[arg(long, value_name = "FILE")]
    binding: Option<PathBuf>,
}

/// What is wanted of a node's configuration.
#[derive(Deserialize)]
struct NodeFile {
    plugins: Config,
}

impl PluginArgs {
    /// The plugin.
    pub(super) fn package(&self) -> anyhow::Result<Package> {
        if self.path.is_dir() {
            return Ok(build::make(&build::request(&self.path))?.package);
        }
        files::package(&self.path)
    }

    /// How `package` is bound.
    pub(super) fn binding(&self, package: &Package) -> anyhow::Result<Binding> {
        let Some(path) = &self.binding else {
            let mut bound = binding::typed(package)?;
            bound.deadline_ms = Some(DEADLINE_MS);
            return Ok(bound);
        };
        let failed = || path.display().to_string();
        let file: NodeFile = toml::from_str(&files::text(path)?).with_context(failed)?;
        let Some(mut bound) = file.plugins.binding.into_iter().next() else {
            return Err(wrong_use(format!("{} has no [[plugins.binding]]", path.display())));
        };
        bound.digest = package.digest().to_string();
        // Here it must be loaded.
        bound.required = true;
        Ok(bound)
    }
}

/// There is no broker here.
struct Nowhere;

impl Publisher for Nowhere {
    fn publish(&self, _: &Outgoing<'_>, _: Duration) -> Result<(), PublishError> {
        Err(PublishError::Refused("nothing is stored outside of a broker".to_owned()))
    }
}

/// A plugin that runs; closed when dropped.
pub(super) struct Running {
    host: Host,
    pub(super) chain: HookChain,
}

impl Running {
    /// Loads it: the engine compiles, `init` and `health` are called.
    pub(super) fn start(package: &Package, binding: Binding) -> anyhow::Result<Self> {
        let disk = MemDisk::new();
        let dir = Path::new("/plugins");
        whole::replace(&disk, &component_path(dir, &binding.digest), package.bytes())?;
        let config = Config { binding: vec![binding], ..Config::default() };
        config.validate().context("the binding")?;
        let node = Node {
            role: Role::Broker,
            name: "plugin-test".to_owned(),
            cluster: "DefaultCluster".to_owned(),
            address: "127.0.0.1:10911".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let clock = Arc::new(SystemClock::new());
        let parts = Parts {
            disk: Arc::new(disk),
            dir: dir.to_owned(),
            compiler: Compiler::InProcess,
            clock,
            cores: 1,
            node,
            hooks: Arc::new(Hooks::none()),
            native: Vec::new(),
            publisher: Some(Arc::new(Nowhere)),
        };
        let host = Host::start(&config, parts)?.context("there is nothing to run")?;
        let chain = HookChain::new(&host.hooks());
        Ok(Self { host, chain })
    }

    /// Calls so far, those that failed included.
    pub(super) fn calls(&self) -> u64 {
        self.host.status().iter().flat_map(|plugin| &plugin.hooks).map(|hook| hook.calls).sum()
    }

    /// What each hook did so far.
    pub(super) fn hooks(&self) -> Vec<HookStatus> {
        self.host.status().into_iter().flat_map(|plugin| plugin.hooks).collect()
    }

    /// Calls that failed so far, and how.
    pub(super) fn failures(&self) -> Vec<(String, u64)> {
        failures(self.hooks())
    }
}

/// Calls that failed, and how.
pub(super) fn failures(hooks: Vec<HookStatus>) -> Vec<(String, u64)> {
    let of_hook = hooks.into_iter().flat_map(|hook| {
        let name = hook.hook.name();
        hook.failures.into_iter().map(move |(kind, count)| (format!("{name}: {kind}"), count))
    });
    of_hook.collect()
}

impl Drop for Running {
    fn drop(&mut self) {
        self.host.close();
    }
}

/// A request of a principal's; of nobody's where it is empty or `anonymous`.
pub(super) fn request(principal: &str, code: i32) -> RequestContext {
    let principal = match principal {
        "" | "anonymous" => Principal::Anonymous,
        name => Principal::User(name.into()),
    };
    let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 40_000));
    RequestContext { principal, ..RequestContext::new(peer, 1, code) }
}

/// A send.
pub(super) const SEND: i32 = request_code::SEND_MESSAGE_V2;
/// A pull.
pub(super) const PULL: i32 = request_code::PULL_MESSAGE;
