//! What the command line can say.

#[cfg(test)]
mod help;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::process::Role;
use crate::{admin, audit, bench, consume, doctor, flight, plugin, policy, produce, top};

const AFTER_HELP: &str = "\
Try it, each in a terminal of its own:
  blockhouse standalone
  blockhouse consume TopicTest --group try --follow
  blockhouse produce TopicTest 'hello, world'

Exit codes: 0 done, or stopped cleanly; 1 failed; 2 wrong arguments or configuration, or a file or directory \
that arguments name is not there. Tools that look for something (`admin store`, `audit verify`, `policy simulate`) \
exit with 1 if they found it, and with 2 for whatever kept them from looking.";

/// A broker and a name server for RocketMQ clients, and the tools around them.
#[derive(Debug, Parser)]
#[command(name = "blockhouse", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a name server and a broker in one process
    ///
    /// Listens on 127.0.0.1:9876 (name server), 127.0.0.1:10911 and 10909 (broker) and
    /// 127.0.0.1:5557 (health and metrics), keeps its data in ./blockhouse-data, prints one line
    /// per listener and then `ready`. SIGTERM or ctrl-C stops it cleanly, a second one at once.
    #[command(after_help = STANDALONE_EXAMPLES)]
    Standalone(NodeArgs),
    /// Run a name server
    ///
    /// It keeps no routes on disk: brokers report to every name server, so start as many as you
    /// like and list them all to brokers and clients.
    #[command(after_help = NAMESRV_EXAMPLES)]
    Namesrv(NamesrvNode),
    /// Run a broker
    ///
    /// It reports itself to all name servers of --namesrv, under the address of --advertise.
    #[command(after_help = BROKER_EXAMPLES)]
    Broker(BrokerNode),
    /// Look at and change topics, groups and brokers of a running cluster
    Admin(admin::Args),
    /// Make plugins, look at them, put them onto a node, see what runs
    Plugin(plugin::Args),
    /// Judge policies, try them out, put them in force
    Policy(policy::Args),
    /// Check an audit log, and look into it
    Audit(audit::Args),
    /// Show the last requests of a node, also of one that crashed
    Flight(flight::Args),
    /// Say what is wrong with a cluster, and what to do about it
    ///
    /// Asks name servers, the brokers that they know, and the ops listeners of the nodes that are named. Numbers
    /// are those since a node started.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::Args),
    /// Show what a node does, again and again
    ///
    /// Topics, consumer groups, requests and plugins with their rates between two looks, from its /metrics.
    #[command(after_help = top::EXAMPLES)]
    Top(top::Args),
    /// Send messages to a topic
    Produce(produce::Args),
    /// Print messages of a topic
    Consume(consume::Args),
    /// Put a RocketMQ server under load and measure it
    Bench(bench::Args),
    /// Show the configuration, or what can be configured
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLE)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const STANDALONE_EXAMPLES: &str = "\
Examples:
  blockhouse standalone
  blockhouse standalone --data /var/lib/blockhouse --set store.flush=sync
  blockhouse standalone --broker-listen 0.0.0.0:10911 \\
      --namesrv-listen 0.0.0.0:9876 --advertise 10.0.0.5 --insecure";

const COMPLETIONS_EXAMPLE: &str = "\
Example:
  blockhouse completions bash \\
      > ~/.local/share/bash-completion/completions/blockhouse";

const NAMESRV_EXAMPLES: &str = "\
Examples:
  blockhouse namesrv
  blockhouse namesrv --namesrv-listen 10.0.0.4:9876 --insecure";

const BROKER_EXAMPLES: &str = "\
Examples:
  blockhouse broker --name broker-a --namesrv '10.0.0.3:9876;10.0.0.4:9876' \\
      --broker-listen 10.0.0.5:10911 --insecure
  blockhouse broker --java-conf /etc/rocketmq/broker.conf";

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every option, its value, and where the value comes from
    ///
    /// Takes the same flags and files as the commands that run a server, and judges them the same
    /// way (for `broker` or `namesrv` alone, say so with --role). Stronger sources win: flags and --set, then --config, then --java-conf, then defaults.
    #[command(after_help = "Examples:\n  blockhouse config show --config broker.toml\n  \
                            blockhouse config show --java-conf broker.conf --toml > broker.toml")]
    Show(Box<ShowArgs>),
    /// Print all options with their types, defaults and meaning, as Markdown
    Reference,
}

/// What to show of a configuration, and how.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// The command that is going to run with it
    #[arg(long, value_enum, value_name = "COMMAND", default_value = "standalone")]
    pub(crate) role: Role,
    /// Print a file for --config
    #[arg(long, conflicts_with = "json")]
    pub(crate) toml: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a name server and a broker in one process are set up.
#[derive(Debug, Default, Args)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    #[command(flatten)]
    pub(crate) name_server: NamesrvArgs,
}

/// How a name server alone is set up.
#[derive(Debug, Args)]
pub(crate) struct NamesrvNode {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    name_server: NamesrvArgs,
}

impl From<NamesrvNode> for NodeArgs {
    fn from(args: NamesrvNode) -> Self {
        let NamesrvNode { process, name_server } = args;
        Self { process, name_server, ..Self::default() }
    }
}

/// How a broker alone is set up.
#[derive(Debug, Args)]
pub(crate) struct BrokerNode {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    broker: BrokerArgs,
}

impl From<BrokerNode> for NodeArgs {
    fn from(args: BrokerNode) -> Self {
        let BrokerNode { process, broker } = args;
        Self { process, broker, ..Self::default() }
    }
}

/// What every process is told.
#[derive(Debug, Default, Args)]
pub(crate) struct ProcessArgs {
    /// Read options from a TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set any option, e.g. `store.flush=sync`; may be given several times
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub(crate) sets: Vec<String>,
    /// Keep data here; `blockhouse-data` if nothing says otherwise (RocketMQ: storePathRootDir)
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<String>,
    /// Where health and metrics are served: IP:PORT, a port on 127.0.0.1, or `off`
    #[arg(long, value_name = "ADDR")]
    pub(crate) ops_listen: Option<String>,
    /// Listen on other than loopback addresses though nothing is encrypted and nobody is asked
    /// who he is
    #[arg(long)]
    pub(crate) insecure: bool,
    /// How much to log: error, warn, info, debug, trace, off
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
}

/// What a broker is told.
#[derive(Debug, Default, Args)]
pub(crate) struct BrokerArgs {
    /// Read RocketMQ's own broker.conf; keys that are not honoured are printed
    #[arg(long, value_name = "FILE")]
    pub(crate) java_conf: Option<PathBuf>,
    /// The broker's name; every broker of a cluster needs its own
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The cluster that the broker belongs to
    #[arg(long)]
    pub(crate) cluster: Option<String>,
    /// The name servers that the broker reports to, separated by `;`
    #[arg(long, value_name = "HOST:PORT;...")]
    pub(crate) namesrv: Option<String>,
    /// The IP address that clients are told (RocketMQ: brokerIP1)
    #[arg(long, value_name = "IP")]
    pub(crate) advertise: Option<String>,
    /// Where the broker listens: IP:PORT, or a port on 127.0.0.1
    #[arg(long, value_name = "ADDR")]
    pub(crate) broker_listen: Option<String>,
    /// Start though the data directory holds what is not served (half messages of transactions,
    /// timer messages, POP deliveries); they stay where they are
    #[arg(long)]
    pub(crate) allow_inert: bool,
}

/// What a name server is told.
#[derive(Debug, Default, Args)]
pub(crate) struct NamesrvArgs {
    /// Where the name server listens: IP:PORT, or a port on 127.0.0.1
    #[arg(long, value_name = "ADDR")]
    pub(crate) namesrv_listen: Option<String>,
}
