//! Looking at and changing a running cluster, or the files of a stopped broker.

mod brokers;
mod clients;
mod groups;
mod log;
mod messages;
mod refusals;
mod store;
mod telemetry;
mod topics;
mod users;

use std::process::ExitCode;

use blockhouse_client::admin::Scope;
use serde_json::Value;

use crate::cluster::{ClusterArgs, IdentityArgs, NAMESRV, Table, TlsArgs, block_on};
use crate::{address, out, wrong_use};

const EXAMPLES: &str = "\
Examples:
  blockhouse admin cluster
  blockhouse admin topic create orders --queues 16 \\
      --attribute message.type=FIFO
  blockhouse admin progress billing
  blockhouse admin offsets reset billing orders --to 2026-11-23T08:00:00Z
  blockhouse admin message key orders order-17 --groups
  blockhouse admin store check --data /var/lib/blockhouse";

/// How long answers are waited for if nothing is said.
const TIMEOUT_MS: u64 = 3_000;

/// What the command line can say.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// [`ClusterArgs`], after any subcommand.
#[derive(Debug, clap::Args)]
struct ClusterFlags {
    /// The name servers, separated by `;`; any that answers will do
    #[arg(
        long,
        short = 'n',
        global = true,
        value_name = "HOST:PORT;...",
        default_value = NAMESRV,
        value_parser = address::list
    )]
    namesrv: String,
    /// How long to wait for a connection and for an answer, in milliseconds
    #[arg(long, global = true, value_name = "MS", default_value_t = TIMEOUT_MS)]
    timeout_ms: u64,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// What [`ClusterFlags`] has that a subcommand does not use, to stand in place of what would be seen there.
fn hidden(is_unused: fn(&str) -> bool) -> Vec<clap::Arg> {
    let all = <ClusterFlags as clap::Args>::augment_args(clap::Command::new("hidden"));
    let unused = all.get_arguments().filter(|arg| is_unused(arg.get_id().as_str()));
    unused.map(|arg| arg.clone().hide(true)).collect()
}

fn is_of_name_servers(id: &str) -> bool {
    id == "namesrv"
}

impl ClusterFlags {
    /// Refuses what says how to reach servers, for who asks none.
    fn refuse(&self) -> anyhow::Result<()> {
        let is_plain = self.namesrv == NAMESRV
            && self.timeout_ms == TIMEOUT_MS
            && self.tls == TlsArgs::default()
            && self.identity == IdentityArgs::default();
        if is_plain {
            return Ok(());
        }
        Err(wrong_use(
            "`admin store` looks at files and asks no server: leave out --namesrv, --timeout-ms, \
             --access-key, --secret-key-file and what begins with --tls",
        ))
    }

    /// Refuses name servers, for who asks the node of `--node` alone.
    fn refuse_name_servers(&self) -> anyhow::Result<()> {
        if self.namesrv == NAMESRV {
            return Ok(());
        }
        Err(wrong_use("no name server is asked for this: name the node's ops listener with --node"))
    }
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List clusters and their brokers
    Cluster,
    /// List topics
    Topics(topics::ListArgs),
    /// Create, change, delete or look at a topic
    #[command(subcommand)]
    Topic(topics::Command),
    /// List consumer groups
    Groups(groups::ListArgs),
    /// Create, change or delete a consumer group
    #[command(subcommand)]
    Group(groups::Command),
    /// Show how far a consumer group is, and its lag
    Progress(groups::ProgressArgs),
    /// List the clients of a broker, or of a consumer or producer group
    #[command(after_help = clients::EXAMPLES)]
    Clients(clients::Args),
    /// Show the last requests that a broker refused, and why
    #[command(after_help = refusals::EXAMPLES, args = hidden(is_of_name_servers))]
    Refusals(refusals::Args),
    /// Show what a broker or name server records as traces, or record more or less for a while
    #[command(after_help = telemetry::EXAMPLES, args = hidden(is_of_name_servers))]
    Telemetry(telemetry::Args),
    /// Show or change the level of a running node's log
    #[command(after_help = log::EXAMPLES, args = hidden(is_of_name_servers))]
    Log(log::Args),
    /// Find a message
    #[command(subcommand)]
    Message(messages::Command),
    /// Change a consumer group's offsets
    #[command(subcommand)]
    Offsets(groups::OffsetsCommand),
    /// List, make, change or delete users, on all name servers and master brokers
    #[command(subcommand)]
    Users(users::Command),
    /// Show or change a broker's options
    #[command(subcommand)]
    Config(brokers::ConfigCommand),
    /// Look at, check and mend the files of a stopped broker
    #[command(subcommand, after_help = store::AFTER_HELP, args = hidden(|_| true))]
    Store(store::Command),
}

/// Which brokers a change is for.
#[derive(Debug, clap::Args)]
struct ScopeArgs {
    /// Only the brokers of this cluster
    #[arg(long, value_name = "NAME", conflicts_with = "broker")]
    cluster: Option<String>,
    /// Only this broker
    #[arg(long, value_name = "NAME|HOST:PORT", value_parser = address::broker)]
    broker: Option<String>,
}

impl ScopeArgs {
    fn scope(&self) -> Scope {
        match (&self.cluster, &self.broker) {
            (Some(cluster), _) => Scope::Cluster(cluster.clone()),
            (_, Some(broker)) => Scope::Broker(broker.clone()),
            _ => Scope::All,
        }
    }
}

/// An answer, for people and for programs.
struct Answer {
    text: String,
    json: Value,
}

impl Answer {
    fn table(table: &Table, nothing: &str, json: Value) -> Self {
        let text = if table.is_empty() { format!("{nothing}\n") } else { table.to_string() };
        Self { text, json }
    }

    fn done(line: &str, json: Value) -> Self {
        Self { text: format!("{line}\n"), json }
    }

    fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            out::line(&serde_json::to_string_pretty(&self.json)?);
        } else {
            out::text(&self.text);
        }
        Ok(())
    }
}

/// Does it.
pub(crate) fn run(args: Args) -> ExitCode {
    let refused = match &args.what {
        What::Store(_) => args.cluster.refuse(),
        What::Telemetry(_) | What::Log(_) | What::Refusals(_) => args.cluster.refuse_name_servers(),
        What::Clients(which) if which.group().is_none() => args.cluster.refuse_name_servers(),
        _ => Ok(()),
    };
    if let Err(error) = refused {
        return crate::report(Err(error));
    }
    match args.what {
        What::Store(command) => store::run(&command, args.json),
        What::Telemetry(knobs) => {
            let shown = telemetry::run(&knobs, &args.cluster);
            crate::report(shown.and_then(|answer| answer.print(args.json)))
        }
        What::Log(log) => {
            let shown = log::run(&log, &args.cluster);
            crate::report(shown.and_then(|answer| answer.print(args.json)))
        }
        What::Refusals(which) => {
            let shown = refusals::run(&which, &args.cluster);
            crate::report(shown.and_then(|answer| answer.print(args.json)))
        }
        What::Clients(which) if which.group().is_none() => {
            let shown = clients::all(&which, &args.cluster);
            crate::report(shown.and_then(|answer| answer.print(args.json)))
        }
        what => crate::report(ask(what, args.cluster, args.json)),
    }
}

/// Asks or changes a cluster.
fn ask(what: What, cluster: ClusterFlags, as_json: bool) -> anyhow::Result<()> {
    block_on(cluster.identity.is_given(), async move {
        let ClusterFlags { namesrv, timeout_ms, tls, identity } = cluster;
        let client = ClusterArgs { namesrv, timeout_ms, tls, identity }.client()?;
        let answer = match what {
            What::Cluster => brokers::cluster(&client).await?,
            What::Topics(list) => topics::list(&client, &list).await?,
            What::Topic(command) => topics::run(&client, command).await?,
            What::Groups(list) => groups::list(&client, &list).await?,
            What::Group(command) => groups::run(&client, command).await?,
            What::Progress(which) => groups::progress(&client, &which).await?,
            What::Clients(which) => {
                clients::of_group(&client, which.group().unwrap_or_default()).await?
            }
            What::Message(command) => messages::run(&client, command).await?,
            What::Offsets(groups::OffsetsCommand::Reset(reset)) => {
                groups::reset(&client, &reset).await?
            }
            What::Users(command) => users::run(&client, command).await?,
            What::Config(command) => brokers::config(&client, command).await?,
            What::Store(_) | What::Log(_) | What::Telemetry(_) | What::Refusals(_) => {
                anyhow::bail!("this needs no cluster")
            }
        };
        client.close().await;
        answer.print(as_json)
    })
}
