//! `blockhouse flight`: the last requests of a node, also of one that is no more.

mod print;
mod sum;
mod wanted;

use std::path::PathBuf;

use blockhouse_disk::RealDisk;
use blockhouse_flight::reader::files;
use blockhouse_flight::{DIR, Error, Found, NAMESRV_DIR, NOW, find};
use blockhouse_protocol::codes::{request_code, response_code};
use clap::{ArgGroup, Subcommand};
use serde_json::{Value, json};

use crate::cluster::{IdentityArgs, TlsArgs};
use crate::plugin::node::{DEFAULT, Node};
use crate::process::flight::ANSWER_MAX;
use crate::{given, out, wrong_use};
use sum::{By, Order};
use wanted::Wanted;

const EXAMPLES: &str = "\
Examples:
  blockhouse flight dump /var/lib/blockhouse
  blockhouse flight dump /var/lib/blockhouse --since 2m --topic orders \\
      --slower-than 50ms
  blockhouse flight dump --node 10.0.0.5:5557 --failed --json
  blockhouse flight sum --by client --code send_message_v2 \\
      --node 10.0.0.5:5557
  blockhouse flight sum --by client,queue --group billing --order quiet \\
      /var/lib/blockhouse
  blockhouse flight dump copy-1795465151870-signal.flight --client 10.0.0.7
  blockhouse flight copy

docs/flight-recorder.md says what a record is.";

/// Show the last requests of a node, also of one that crashed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the last records that fit
    ///
    /// Of a data directory (of a stopped node, or of one that runs on this host), or of a running node.
    Dump(Box<DumpArgs>),
    /// Sum up the last records that fit: who asks most, who is slow, who is refused
    Sum {
        /// What is told apart; several, separated by commas
        #[arg(long, value_name = "WHAT", value_delimiter = ',', default_value = "client")]
        by: Vec<By>,
        /// What comes first
        #[arg(long, value_name = "ORDER", default_value = "bytes")]
        order: Order,
        #[command(flatten)]
        dump: Box<DumpArgs>,
    },
    /// Have a running node keep a copy of its records, as SIGUSR2 does
    Copy {
        /// The node's ops listener: HOST:PORT, or http(s)://HOST:PORT
        #[arg(long, visible_alias = "ops", value_name = "URL", default_value = DEFAULT)]
        node: String,
        #[command(flatten)]
        way: Way,
    },
}

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("whose").args(["dir", "node"]).required(true))]
struct DumpArgs {
    /// A data directory, or a file of records
    dir: Option<PathBuf>,
    /// A running node's ops listener: HOST:PORT, or http(s)://HOST:PORT
    #[arg(long, visible_alias = "ops", value_name = "URL")]
    node: Option<String>,
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    way: Way,
}

/// How to get to a running node.
#[derive(Debug, clap::Args)]
struct Way {
    /// How long to wait for a connection and for an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

impl Way {
    fn to(&self, url: &str) -> anyhow::Result<Node> {
        Node::reached(url, self.timeout_ms, &self.tls, &self.identity)
    }
}

/// Records that are printed if nothing is said.
const ROWS: usize = 1_000;

/// Does it.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    match &args.what {
        What::Dump(dump) => print::found(&looked(dump, ROWS)?, args.json),
        What::Sum { by, order, dump } => {
            sum::found(&looked(dump, ANSWER_MAX)?, by, *order, args.json)
        }
        What::Copy { node, way } => {
            let answer: Value = way.to(node)?.post("/v1/flight/copy", &json!({}))?;
            let path = answer["path"].as_str().unwrap_or_default();
            let line = if args.json { answer.to_string() } else { out::foreign(path).into_owned() };
            out::line(&line);
            Ok(())
        }
    }
}

/// Why there is nothing to see. What holds no records was named wrongly.
fn without_records(error: Error) -> anyhow::Error {
    match error {
        Error::None(_) | Error::Other(_) => wrong_use(error.to_string()),
        Error::Disk { .. } => error.into(),
    }
}

fn looked(dump: &DumpArgs, limit: usize) -> anyhow::Result<Found> {
    let select = dump.wanted.select(limit)?;
    if let Some(url) = &dump.node {
        if select.limit > ANSWER_MAX {
            return Err(wrong_use(format!(
                "--limit {}: a running node gives {ANSWER_MAX} at most; its data directory has all",
                select.limit
            )));
        }
        return dump.way.to(url)?.post("/v1/flight/dump", &select);
    }
    let dir = dump.dir.clone().unwrap_or_default();
    given::either(&dir)?;
    for records in [DIR, NAMESRV_DIR] {
        given::visible(&dir.join(records).join(NOW))?;
    }
    let names = [request_code::name, response_code::name];
    let files = files(&RealDisk, &dir).map_err(without_records)?;
    find(&RealDisk, &files, &select, names).map_err(without_records)
}
