//! Building, running and stopping a name server.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use blockhouse_disk::Disk;
use blockhouse_hook::{Acls, Hooks, Users};
use blockhouse_meter::Meter;
use blockhouse_model::Clock;
use blockhouse_namesrv_remoting::{Background, KvStore, NameService, name_service};
use blockhouse_service::stage::OTHERS_PATIENCE;
use blockhouse_service::{Shutdown, Stage, Stages, Tasks};
use blockhouse_transport::tls::Acceptor;
use blockhouse_transport::{Budget, Endpoint, Server};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::Config;

/// How long tasks have to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a stop does first.
const CLIENTS: &str = "it waits for clients";

/// What a name server gets from its process.
#[derive(Clone)]
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The hooks, shared with other servers of the process.
    pub hooks: Arc<Hooks>,
    /// The files.
    pub disk: Arc<dyn Disk>,
    /// The KV configuration is kept in `namesrv/kvConfig.json` below it.
    pub data_dir: PathBuf,
    /// The group that a group for this name server is made below.
    pub tasks: Tasks,
    /// Bytes in flight, shared with other listeners of the process; `None` for its own.
    pub budget: Option<Arc<Budget>>,
    /// Where requests and connections are counted.
    pub meter: Arc<Meter>,
    /// How connections are secured; `None`: in plaintext only.
    pub tls: Option<Arc<Acceptor>>,
    /// The users, where requests are authenticated.
    pub users: Option<Arc<dyn Users>>,
    /// The ACLs, where policies are asked.
    pub acls: Option<Arc<dyn Acls>>,
}

/// Starts name servers.
#[derive(Clone, Copy, Debug)]
pub struct NameServer;

/// A name server that runs.
pub struct Running {
    service: Arc<NameService>,
    server: Server,
    tasks: Tasks,
    stages: Stages,
}

impl NameServer {
    /// Reads the KV configuration, listens, and looks for silent brokers from now on.
    ///
    /// # Errors
    /// The KV configuration cannot be read, or the address cannot be listened on.
    pub async fn start(config: Config, parts: Parts) -> anyhow::Result<Running> {
        let tasks = parts.tasks.child("namesrv");
        let kv = KvStore::open(parts.disk, &parts.data_dir)
            .context("the name server's KV configuration")?;
        let service = Arc::new(NameService::new(name_service::Parts {
            fixed_options: fixed_options(&config.listen, &kv),
            settings: config.service,
            kv,
            clock: parts.clock,
            hooks: parts.hooks,
            background: Arc::new(Blocking(tasks.clone())),
            meter: Arc::clone(&parts.meter),
            users: parts.users,
            acls: parts.acls,
            registration: config.registration,
        }));
        let budget = parts.budget;
        let mut endpoint =
            Endpoint::new(Arc::clone(&service) as _, Arc::clone(&service) as _, config.limits);
        endpoint.budget = budget.unwrap_or(endpoint.budget);
        endpoint.counts = Arc::clone(&parts.meter.connections);
        endpoint.tls = parts.tls;
        let server =
            Server::bind(&config.listen, endpoint).await.context("the name server's listener")?;
        tasks.spawn_vital("scan", scan(Arc::clone(&service), tasks.shutdown()));
        info!(addr = %server.local_addr(), "name server listens");
        let stages = Stages::new(CLIENTS);
        Ok(Running { service, server, tasks, stages })
    }
}

impl Running {
    /// Where it listens, with the port that was picked.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// The name server itself, for counts and settings.
    #[must_use]
    pub fn service(&self) -> &Arc<NameService> {
        &self.service
    }

    /// What a stop is doing.
    #[must_use]
    pub fn stage(&self) -> watch::Receiver<Stage> {
        self.stages.watch()
    }

    /// Stops accepting, lets connections have their answers, and ends all tasks, within two seconds and a half
    /// and what it takes to abort the rest: whatever `limits.drain_ms` says, and whatever never ends.
    pub async fn stop(self) {
        self.stop_within(OTHERS_PATIENCE).await;
    }

    /// The same in less time, or more.
    pub async fn stop_within(self, patience: Duration) {
        let Self { server, tasks, stages, .. } = self;
        let all = async {
            stages.enter(CLIENTS);
            server.shutdown().await;
            stages.enter("it waits for its tasks");
            tasks.stop(PATIENCE).await
        };
        let late = if let Ok(late) = tokio::time::timeout(patience, all).await {
            late
        } else {
            warn!("the name server stops without those that it waited for: {}", stages.stage());
            tasks.stop(Duration::ZERO).await
        };
        if !late.is_empty() {
            warn!(tasks = ?late, "the name server's tasks had to be aborted");
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("addr", &self.local_addr()).finish_non_exhaustive()
    }
}

/// What `getNamesrvConfig` shows besides the settings, and `updateNamesrvConfig` refuses.
fn fixed_options(listen: &str, kv: &KvStore) -> BTreeMap<String, String> {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, ""));
    let options = [
        ("bindAddress", host.to_owned()),
        ("listenPort", port.to_owned()),
        ("kvConfigPath", kv.path().display().to_string()),
    ];
    options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

async fn scan(service: Arc<NameService>, mut shutdown: Shutdown) {
    while shutdown.wait(service.settings().scan_interval()).await {
        service.expire();
    }
}

/// Runs blocking work as one of the group's tasks.
struct Blocking(Tasks);

impl Background for Blocking {
    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        drop(self.0.spawn_blocking("save", work));
    }
}
