//! A server process: its parts started in order, watched, and stopped in the opposite order.

mod audit;
mod authn;
mod bridge;
pub(crate) mod clients;
mod consumers;
mod descriptors;
mod exports;
pub(crate) mod flight;
mod headers;
pub(crate) mod log;
mod metrics;
mod notify;
mod ops;
mod parts;
pub(crate) mod plugins;
pub(crate) mod policies;
mod publisher;
mod readiness;
pub(crate) mod refusals;
mod sandbox;
mod sidecar;
mod stall;
mod stop;
#[cfg(test)]
mod tests;
mod tls;
pub(crate) mod traces;

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use blockhouse_broker::Tls;
use blockhouse_disk::RealDisk;
use blockhouse_hook::{Acls, Auditor, Hook, HookChain, Hooks, Lifecycle, Watcher};
use blockhouse_host::Host;
use blockhouse_meter::Meter;
use blockhouse_model::Clock;
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_service::config::Loaded;
use blockhouse_service::log::Level;
use blockhouse_service::{OnHangup, StopSignals, SystemClock, Tasks};
use blockhouse_transport::Budget;
use tokio::runtime::{Builder, Handle};

use crate::args::NodeArgs;
use crate::guard::{self, Listener};
use crate::options::{self, Config};
use crate::out;
use authn::Authenticated;
use parts::Started;
use publisher::ToBroker;
use readiness::Readiness;
use stall::Pulse;

/// Turns of tasks after which a worker that is never idle looks at the network. With consumers that catch up on each
/// worker a turn answers with 256 KiB: 61 of them, the runtime's default, are tens of milliseconds for those who send.
const TURNS_BETWEEN_LOOKS: u32 = 16;

/// What the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Name server and broker.
    Standalone,
    /// Name server alone.
    Namesrv,
    /// Broker alone.
    Broker,
}

impl Role {
    pub(crate) const fn has_namesrv(self) -> bool {
        matches!(self, Self::Standalone | Self::Namesrv)
    }

    pub(crate) const fn has_broker(self) -> bool {
        matches!(self, Self::Standalone | Self::Broker)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Namesrv => "namesrv",
            Self::Broker => "broker",
        }
    }
}

/// What tells the node from others. A name server has no name, but its address.
fn node_name(config: &Config, role: Role) -> &str {
    if role.has_broker() { &config.node.name } else { &config.namesrv.listen }
}

/// A checked configuration, ready to run.
pub(crate) struct Setup {
    role: Role,
    options: Loaded<Config>,
    hooks: Arc<Hooks>,
    level: Arc<Level>,
    events: Option<exports::Events>,
}

/// What the parts of a process share.
struct Shared {
    clock: Arc<dyn Clock>,
    hooks: Arc<Hooks>,
    /// Numbers what hooks decide and tells it to the audit sinks.
    auditor: Arc<Auditor>,
    meter: Arc<Meter>,
    readiness: Arc<Readiness>,
    /// Bytes in flight on all listeners together.
    budget: Arc<Budget>,
    /// How the control API reaches the broker's clients.
    connected: Arc<clients::Connected>,
    /// How plugins reach the broker.
    publisher: Arc<ToBroker>,
    tls: Tls,
    authenticated: Authenticated,
    /// What RocketMQ's tools say of users, if policies are asked.
    acls: Option<Arc<dyn Acls>>,
    tasks: Tasks,
    /// Where runs what must get on while the threads that serve clients wait for the disk.
    aside: Handle,
    /// Whether these threads get on.
    pulse: Arc<Pulse>,
}

impl Shared {
    /// Has requests that wait asked for anew.
    fn ask_again(&self) -> Watcher {
        let hooks = Arc::downgrade(&self.hooks);
        Box::new(move || {
            if let Some(hooks) = hooks.upgrade() {
                hooks.ask_again();
            }
        })
    }
}

/// What the control API changes.
#[derive(Clone, Copy)]
struct Control<'a> {
    plugins: Option<&'a Arc<Host>>,
    policies: Option<&'a Arc<policies::Policies>>,
    audit: Option<&'a Arc<blockhouse_audit::AuditLog>>,
    flight: Option<&'a Arc<flight::Recording>>,
    level: &'a Arc<Level>,
}

impl Setup {
    /// Reads the configuration, starts logging, and refuses what must not run.
    pub(crate) fn new(args: &NodeArgs, role: Role) -> anyhow::Result<Self> {
        let mut options = options::load(args)?;
        let config = &options.loaded.config;
        options::check(&options.loaded, role)?;
        let events = exports::events(config);
        let queue = events.as_ref().map(|(queue, _)| queue.clone());
        let level = blockhouse_service::log::start(&config.log, queue)?;
        options.unhonoured.iter().for_each(|key| out::note(&key.to_string()));
        options::idle(&options.loaded)?.iter().for_each(|idle| tracing::warn!("{idle}"));
        if role.has_broker()
            && let Some(doubt) = guard::doubt(&config.node)
        {
            tracing::warn!("{doubt}");
        }
        descriptors::fit(&mut options.loaded.config);
        let hooks = Arc::new(Hooks::none());
        Ok(Self { role, options: options.loaded, hooks, level, events })
    }

    /// Runs until a signal or the failure of a part that cannot be missed.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        sandbox::enter(&self.options.config, self.role)?;
        let threads = |name| {
            let mut builder = Builder::new_multi_thread();
            builder.enable_all().thread_name(name).event_interval(TURNS_BETWEEN_LOOKS);
            builder
        };
        let failed = "cannot start threads";
        let runtime = threads("blockhouse").build().context(failed)?;
        let aside = threads("blockhouse-ops").worker_threads(1).build().context(failed)?;
        let result = runtime.block_on(self.serve(aside.handle()));
        // Only blocking work that ignored its end is left; a process that stops does not wait.
        aside.shutdown_background();
        runtime.shutdown_background();
        result
    }

    /// What parts share, before any is there.
    fn shared(&self, aside: &Handle) -> anyhow::Result<Shared> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let auditor = Arc::new(Auditor::new(Arc::clone(&clock)));
        self.hooks.audit_with(&auditor);
        let tasks = Tasks::new("process");
        let meter = Arc::new(Meter::default());
        let tls = tls::load(&self.options.config.tls, &clock, &meter.connections)?;
        let pulse = stall::watch(&clock, &tasks);
        let shared = Shared {
            clock,
            hooks: Arc::clone(&self.hooks),
            auditor,
            meter,
            readiness: Arc::default(),
            budget: Arc::new(Budget::new(self.options.config.transport.in_flight_bytes)),
            connected: Arc::default(),
            publisher: Arc::new(ToBroker::new(tasks.child("plugins"))),
            tls,
            authenticated: Authenticated::default(),
            acls: None,
            tasks,
            aside: aside.clone(),
            pulse,
        };
        shared.meter.name_codes([request_code::name, response_code::name]);
        shared.meter.log_requests(log::requests(&self.options.config.log));
        shared.readiness.watch_threads(Arc::clone(&shared.pulse));
        let pulse = Arc::clone(&shared.pulse);
        shared.meter.before_read(Box::new(move |meter| {
            meter.stalled.set(i64::try_from(pulse.stalled().as_secs()).unwrap_or(i64::MAX));
        }));
        Ok(shared)
    }

    async fn serve(mut self, aside: &Handle) -> anyhow::Result<()> {
        let mut signals = StopSignals::listen(self.on_hangup())?;
        if self.role.has_broker() {
            // Before any part writes there: what a newer version wrote stays as it is.
            let data = &self.options.config.node.data;
            blockhouse_store::check_layout(&RealDisk, data).context("the store")?;
        }
        let mut shared = self.shared(aside)?;
        let events = self.events.take();
        let connector = exports::start(&self.options.config, self.role, &shared, events)?;
        let watching = shared.tasks.child("tls");
        tls::watch(&shared.tls, connector, &self.options.config.tls, &watching)?;
        let flight = flight::start(&self.options.config, self.role, &shared)?;
        let audit = audit::start(&self.options.config, self.role, &shared)?;
        shared.authenticated = authn::start(&self.options.config, self.role, &shared)?;
        let policies = policies::start(&self.options.config, &shared)?;
        shared.acls = policies.clone().map(|policies| policies as Arc<dyn Acls>);
        let logged = audit.as_ref().map(|log| Arc::clone(log) as Arc<dyn Hook>);
        let judged = policies.as_ref().map(|policies| policies.hook());
        self.decide_by([logged, shared.authenticated.hook.clone(), judged]);
        let plugins = plugins::start(&self.options.config, self.role, &shared)?;
        let control = Control {
            plugins: plugins.as_ref(),
            policies: policies.as_ref(),
            audit: audit.as_ref(),
            flight: flight.as_ref(),
            level: &self.level,
        };
        let mut started = Vec::new();
        let up = self.start(&shared, control, &mut started).await;
        let ended = match up {
            Ok(()) => {
                shared.readiness.all_up();
                if let Some(plugins) = &plugins {
                    plugins.process_started();
                }
                shared.hooks.load().lifecycle(Lifecycle::Started);
                out::line("ready");
                notify::tell(notify::State::Ready);
                let ended = self.watch(&shared, &mut signals).await;
                notify::tell(notify::State::Stopping);
                ended
            }
            Err(error) => Err(error),
        };
        shared.hooks.load().lifecycle(Lifecycle::Stopping);
        tokio::select! {
            stopped = stop::all(started, &shared.tasks) => {
                plugins::stop(plugins).await;
                audit::stop(audit).await;
                ended.and(stopped)
            }
            signal = signals.next() => {
                tracing::warn!("{signal} again: stopping at once");
                bail!("stopped at once by a second {signal}; the next start checks the store")
            }
        }
    }

    /// Who closes the terminal of a node that he just tries out wants it to end.
    fn on_hangup(&self) -> OnHangup {
        let config = &self.options.config;
        let rereads = tls::is_read_again(config) || config.authz.enabled;
        if std::io::stdin().is_terminal() && !rereads { OnHangup::Stop } else { OnHangup::GoOn }
    }

    /// Puts in force what Blockhouse itself decides, before all plugins: who it is, then what he may do.
    fn decide_by(&self, own: [Option<Arc<dyn Hook>>; 3]) {
        let mut native: Vec<Arc<dyn Hook>> = own.into_iter().flatten().collect();
        // Whoever built this process may have brought hooks of his own.
        native.extend(self.hooks.load().hooks().iter().cloned());
        self.hooks.swap(HookChain::new(&native));
    }

    /// Starts all parts, those first that others need.
    async fn start(
        &self,
        shared: &Shared,
        control: Control<'_>,
        started: &mut Vec<Started>,
    ) -> anyhow::Result<()> {
        let ops = ops::start(&self.options.config, self.role, shared, control)?;
        let mut namesrv = self.options.config.node.namesrv.clone();
        if self.role.has_namesrv() {
            let part = parts::namesrv(&self.options.config, shared).await;
            let part = part.map_err(|e| guard::advise(e, Listener::Namesrv))?;
            if namesrv.is_empty() {
                namesrv.push(part.address.to_string());
            }
            part.announce();
            started.push(part);
        }
        if self.role.has_broker() {
            let part = parts::broker(&self.options, shared, namesrv).await;
            let part = part.map_err(|e| guard::advise(e, Listener::Broker))?;
            part.announce();
            started.push(part);
        }
        if let Some(ops) = ops {
            out::line(&format!("{:9}listening on {}", "ops", ops.local_addr()));
        }
        Ok(())
    }

    /// Waits for a reason to stop.
    async fn watch(&self, shared: &Shared, signals: &mut StopSignals) -> anyhow::Result<()> {
        let mut shutdown = shared.tasks.shutdown();
        tokio::select! {
            signal = signals.next() => {
                tracing::info!("{signal}: stopping");
                Ok(())
            }
            () = shutdown.requested() => {
                bail!("a part that the process needs has died; the log says why")
            }
        }
    }
}
