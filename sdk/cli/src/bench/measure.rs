//! One run: threads, warm-up, the measured time, the server's usage.

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use blockhouse_protocol::signed::Signer;
use blockhouse_transport::tls::Connector;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::clock;
use super::load::{Kind, LoadArgs};
use super::plan::{self, Planned};
use super::process::{self, Usage};
use super::signed::Signed;
use super::stats::{Shared, Stats};
use super::wire;
use crate::cluster::ClusterArgs;
use crate::wrong_use;

/// How often progress is shown and `--messages` looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What came out.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stats: Stats,
    pub(crate) seconds: f64,
    /// The server before and after the measured time.
    pub(crate) usage: Option<(Usage, Usage)>,
}

/// Sets the cluster up for a load, makes it, and measures.
pub(crate) async fn run(
    kind: Kind,
    load: &LoadArgs,
    cluster: &ClusterArgs,
    pid: Option<u32>,
) -> anyhow::Result<Outcome> {
    load.check(kind).map_err(|error| wrong_use(error.to_string()))?;
    let client = cluster.client()?;
    let secured = Secured { tls: cluster.tls.connector()?, signer: cluster.identity.signer()? };
    if kind == Kind::Consume {
        let stored = plan::stored(&client, load).await?;
        if stored < load.fill {
            let filling = LoadArgs {
                messages: Some(load.fill - stored),
                duration: 600.0,
                warmup: 0.0,
                rate: None,
                ..load.clone()
            };
            let planned = plan::connections(&client, Kind::Produce, &filling).await?;
            make(&filling, &secured, planned, None, "filling").await?;
        }
    }
    let planned = plan::connections(&client, kind, load).await?;
    client.close().await;
    make(load, &secured, planned, pid, "measuring").await
}

/// What makes connections secure, and who signs what is sent on them.
#[derive(Clone)]
struct Secured {
    tls: Option<Arc<Connector>>,
    signer: Option<Arc<Signer>>,
}

async fn make(
    load: &LoadArgs,
    secured: &Secured,
    planned: Vec<Planned>,
    pid: Option<u32>,
    doing: &'static str,
) -> anyhow::Result<Outcome> {
    let shared = Arc::new(Shared::default());
    let (stop, stopped) = watch::channel(false);
    let mut shares: Vec<Vec<Planned>> = (0..load.threads).map(|_| Vec::new()).collect();
    for (at, connection) in planned.into_iter().enumerate() {
        shares[at % load.threads].push(connection);
    }
    let threads: Vec<_> = shares
        .into_iter()
        .map(|share| spawn(share, secured.clone(), Arc::clone(&shared), stopped.clone()))
        .collect::<Result<_, _>>()?;
    let bar = progress(load, doing);
    let measured = supervise(load, &shared, &threads, pid, &bar).await;
    bar.finish_and_clear();
    shared.set_measuring(false);
    stop.send_replace(true);
    let mut stats = Stats::new()?;
    for thread in threads {
        let counted = thread.join().map_err(|_| anyhow!("a generator thread panicked"))??;
        stats.add(&counted)?;
    }
    let (seconds, usage) = measured?;
    Ok(Outcome { stats, seconds, usage })
}

type Counting = JoinHandle<anyhow::Result<Stats>>;

/// Warms up, then measures; returns how long, and the server's usage.
async fn supervise(
    load: &LoadArgs,
    shared: &Shared,
    threads: &[Counting],
    pid: Option<u32>,
    bar: &ProgressBar,
) -> anyhow::Result<(f64, Option<(Usage, Usage)>)> {
    let failed = || threads.iter().any(JoinHandle::is_finished);
    let opened = clock::now();
    let show = |what: String| {
        bar.set_position((clock::now() - opened) / 1_000_000);
        bar.set_message(what);
    };
    let warm = opened + nanos(load.warmup());
    while clock::now() < warm && !failed() {
        tokio::time::sleep(LOOK).await;
        show("warming up".to_owned());
    }
    let before = pid.map(process::usage).transpose()?;
    let begun = clock::now();
    shared.set_measuring(true);
    let end = begun + nanos(load.duration());
    while clock::now() < end && !failed() && load.messages.is_none_or(|n| shared.messages() < n) {
        tokio::time::sleep(LOOK).await;
        show(format!("{} messages", shared.messages()));
    }
    shared.set_measuring(false);
    let took = Duration::from_nanos(clock::now() - begun);
    let after = pid.map(process::usage).transpose()?;
    Ok((took.as_secs_f64(), before.zip(after)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn progress(load: &LoadArgs, doing: &'static str) -> ProgressBar {
    let length = nanos(load.warmup() + load.duration()) / 1_000_000;
    // A pipe or file gets no bar.
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(length), target).with_prefix(doing);
    if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:40}] {msg}") {
        bar.set_style(style);
    }
    bar
}

/// A generator thread: all its connections on one small runtime.
fn spawn(
    share: Vec<Planned>,
    secured: Secured,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<Counting> {
    let thread = std::thread::Builder::new().name("bench".to_owned());
    let body = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stats = Rc::new(RefCell::new(Stats::new()?));
        let connections = async {
            let local = LocalSet::new();
            let mut running = tokio::task::JoinSet::new();
            for planned in share {
                let (stats, shared) = (Rc::clone(&stats), Arc::clone(&shared));
                let connection = run_connection(planned, secured.clone(), stats, shared);
                running.spawn_local_on(connection, &local);
            }
            let first_failure = async {
                match running.join_next().await {
                    Some(ended) => ended?,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                failed = local.run_until(first_failure) => failed,
                _ = stopped.wait_for(|stop| *stop) => Ok(()),
            }
        };
        let ended: anyhow::Result<()> = runtime.block_on(connections);
        drop(runtime);
        ended?;
        let stats = Rc::into_inner(stats).context("a connection outlived its runtime")?;
        Ok(stats.into_inner())
    };
    thread.spawn(body).context("cannot start a generator thread")
}

async fn run_connection(
    planned: Planned,
    Secured { tls, signer }: Secured,
    stats: Rc<RefCell<Stats>>,
    shared: Arc<Shared>,
) -> anyhow::Result<()> {
    match planned {
        Planned::Sending(addr, script) => {
            wire::run(&addr, tls, Signed::new(script, signer), stats, shared).await
        }
        Planned::Pulling(addr, script) => {
            wire::run(&addr, tls, Signed::new(script, signer), stats, shared).await
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadArgs,
    }

    #[tokio::test]
    async fn the_bar_moves_while_warming_up() {
        let line = ["bench", "--warmup", "0.1", "--duration", "0.001"];
        let load = Line::parse_from(line).load;
        let bar = progress(&load, "measuring");
        assert_eq!(bar.length(), Some(101));
        let measured = supervise(&load, &Shared::default(), &[], None, &bar).await.unwrap();
        assert!(bar.position() >= 100, "{}", bar.position());
        assert!(measured.0 > 0.0 && measured.1.is_none());
    }
}
