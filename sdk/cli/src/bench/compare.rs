//! The same load on two servers, in turn.

use std::str::FromStr;

use anyhow::Context as _;
use serde_json::json;

use super::load::{Kind, LoadArgs};
use super::measure;
use super::report::Report;
use crate::cluster::{ClusterArgs, IdentityArgs, Table, TlsArgs, block_on};
use crate::{address, out};

/// What the command line can say.
#[derive(Debug, clap::Args)]
pub(crate) struct CompareArgs {
    /// The first server, HOST:PORT[,pid=N][,tls][,signed]: a name server, the broker's process if it is on this
    /// machine, and whether the options of TLS and of the user are for it
    #[arg(long, value_name = "SERVER")]
    a: Side,
    /// The second server, in the same form
    #[arg(long, value_name = "SERVER")]
    b: Side,
    /// What to measure
    #[arg(long, value_enum, default_value = "produce")]
    kind: Kind,
    /// How often each server is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// A server to compare.
#[derive(Clone, Debug, Default)]
struct Side {
    namesrv: String,
    pid: Option<u32>,
    /// Whether it is reached by TLS.
    tls: bool,
    /// Whether requests to it are signed.
    signed: bool,
}

impl FromStr for Side {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.split(',');
        let namesrv =
            address::list(parts.next().unwrap_or_default()).map_err(anyhow::Error::msg)?;
        let mut side = Self { namesrv, ..Self::default() };
        for part in parts {
            match part.split_once('=') {
                None if part == "tls" => side.tls = true,
                None if part == "signed" => side.signed = true,
                Some(("pid", pid)) => {
                    let pid = pid.parse().with_context(|| format!("{pid} is no process id"))?;
                    side.pid = Some(pid);
                }
                _ => anyhow::bail!("{part:?} is not `pid=N`, `tls` or `signed`"),
            }
        }
        Ok(side)
    }
}

impl Side {
    fn cluster(&self, tls: &TlsArgs, identity: &IdentityArgs) -> ClusterArgs {
        ClusterArgs {
            namesrv: self.namesrv.clone(),
            timeout_ms: 3_000,
            tls: if self.tls { tls.asked_for() } else { TlsArgs::default() },
            identity: if self.signed { identity.clone() } else { IdentityArgs::default() },
        }
    }
}

/// A figure of a report; `None` if that run did not measure it.
type Figure = (&'static str, fn(&Report) -> Option<f64>);

const FIGURES: [Figure; 9] = [
    ("messages/s", |r| Some(r.messages_per_second)),
    ("p50 us", |r| Some(r.latency.p50_us)),
    ("p99 us", |r| Some(r.latency.p99_us)),
    ("p99.9 us", |r| Some(r.latency.p999_us)),
    ("max us", |r| Some(r.latency.max_us)),
    ("server CPU us/message", |r| Some(r.server?.cpu_us_per_message)),
    ("RSS anonymous MiB", |r| Some(r.server?.rss_anon_mib)),
    ("RSS files MiB", |r| Some(r.server?.rss_file_mib)),
    ("refused", |r| u32::try_from(r.refusals()).ok().map(f64::from)),
];

/// Does it.
pub(crate) fn run(args: CompareArgs) -> anyhow::Result<()> {
    block_on(args.identity.is_given(), async move {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for round in 1..=args.rounds {
            for (name, side, reports) in [("A", &args.a, &mut a), ("B", &args.b, &mut b)] {
                let cluster = side.cluster(&args.tls, &args.identity);
                let outcome = measure::run(args.kind, &args.load, &cluster, side.pid).await;
                let outcome = outcome.with_context(|| format!("round {round}, server {name}"))?;
                let report = Report::of(args.kind, &args.load, &outcome);
                out::note(&format!("{name}{round} {report}"));
                report.verdict().with_context(|| format!("round {round}, server {name}"))?;
                reports.push(report);
            }
        }
        out::text(&if args.json { as_json(&a, &b)? } else { as_table(&a, &b) });
        Ok(())
    })
}

/// Lowest, median and highest of a figure over the runs.
fn spread(reports: &[Report], figure: fn(&Report) -> Option<f64>) -> Option<(f64, f64, f64)> {
    let mut values: Vec<f64> = reports.iter().filter_map(figure).collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        *values.get(middle)?
    } else {
        f64::midpoint(*values.get(middle.checked_sub(1)?)?, *values.get(middle)?)
    };
    Some((*values.first()?, median, *values.last()?))
}

fn as_table(a: &[Report], b: &[Report]) -> String {
    let mut table = Table::new(&["", "A", "A from-to", "B", "B from-to", "A/B"]);
    for (name, figure) in FIGURES {
        let (Some(a), Some(b)) = (spread(a, figure), spread(b, figure)) else { continue };
        let ratio = if b.1 == 0.0 { "-".to_owned() } else { format!("{:.3}", a.1 / b.1) };
        table.row([
            name.to_owned(),
            number(a.1),
            format!("{}-{}", number(a.0), number(a.2)),
            number(b.1),
            format!("{}-{}", number(b.0), number(b.2)),
            ratio,
        ]);
    }
    table.to_string()
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn as_json(a: &[Report], b: &[Report]) -> anyhow::Result<String> {
    let figures: serde_json::Map<_, _> = FIGURES
        .iter()
        .filter_map(|(name, figure)| {
            let (a, b) = (spread(a, *figure)?, spread(b, *figure)?);
            let side = |s: (f64, f64, f64)| json!({"min": s.0, "median": s.1, "max": s.2});
            let value = json!({"a": side(a), "b": side(b), "ratio": a.1 / b.1});
            Some(((*name).to_owned(), value))
        })
        .collect();
    let all = json!({"figures": figures, "runs": {"a": a, "b": b}});
    Ok(format!("{}\n", serde_json::to_string_pretty(&all)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_a_name_server_and_perhaps_a_process() {
        let side: Side = "127.0.0.1:9876,pid=42,tls".parse().unwrap();
        assert_eq!((side.namesrv.as_str(), side.pid), ("127.0.0.1:9876", Some(42)));
        assert!(side.tls && !side.signed);
        assert!("a:1,signed".parse::<Side>().unwrap().signed);
        assert_eq!("a:1;b:2".parse::<Side>().unwrap().namesrv, "a:1;b:2");
        for wrong in ["a:1,pid=x", "a:1,secure", "a:1,tls=yes", "a:1,"] {
            assert!(wrong.parse::<Side>().is_err(), "{wrong}");
        }
    }
}
