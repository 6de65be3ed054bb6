//! A load generator for any RocketMQ server.
//!
//! It must cost much less than what it measures: requests are encoded once, each connection is one
//! small state machine on a shared thread, several requests leave with one write, and responses
//! are only scanned.

mod clock;
mod compare;
mod frames;
mod load;
mod measure;
mod plan;
mod process;
mod pulling;
mod report;
mod scan;
mod sending;
mod signed;
mod stats;
mod wire;

use crate::cluster::{ClusterArgs, block_on};
use crate::out;
use load::{Kind, LoadArgs};

const EXAMPLES: &str = "\
Examples:
  blockhouse bench produce --connections 8 --in-flight 16 \\
      --server-pid $(pgrep -f BrokerStartup)
  blockhouse bench produce --connections 4 --in-flight 4 --rate 5000
  blockhouse bench consume --connections 1 --in-flight 4
  blockhouse bench end-to-end --rate 1000 --json
  blockhouse bench compare --rounds 3 \\
      --a 127.0.0.1:9876,pid=101 --b 127.0.0.1:19876,pid=202
  blockhouse bench compare --a 127.0.0.1:9876,tls,signed \\
      --b 127.0.0.1:19876 --tls-ca ca.pem \\
      --access-key bench --secret-key-file bench.secret";

/// What the command line can say.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Send messages and measure until the broker's answer
    Produce(One),
    /// Pull stored messages, again and again
    ///
    /// Fills the topics first if they hold too few messages.
    Consume(One),
    /// Send messages and measure until a consumer has them
    EndToEnd(One),
    /// Put two servers under the same load in turn (A B A B ...) and print medians and ratios
    Compare(compare::CompareArgs),
}

/// A load on one server.
#[derive(Debug, clap::Args)]
struct One {
    #[command(flatten)]
    load: LoadArgs,
    /// The broker's process, on this machine: adds its CPU time per message and its memory
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Does it.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    match args.what {
        What::Produce(one) => run_one(Kind::Produce, one),
        What::Consume(one) => run_one(Kind::Consume, one),
        What::EndToEnd(one) => run_one(Kind::EndToEnd, one),
        What::Compare(args) => compare::run(args),
    }
}

fn run_one(kind: Kind, one: One) -> anyhow::Result<()> {
    block_on(one.cluster.identity.is_given(), async move {
        let outcome = measure::run(kind, &one.load, &one.cluster, one.server_pid).await?;
        let report = report::Report::of(kind, &one.load, &outcome);
        out::text(&if one.json { report.to_json()? } else { report.to_string() });
        report.verdict()
    })
}
