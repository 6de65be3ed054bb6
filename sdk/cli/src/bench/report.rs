//! What a run has shown, for people and programs.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::bail;
use blockhouse_protocol::codes::response_code;
use serde::Serialize;

use super::load::{Kind, LoadArgs};
use super::measure::Outcome;

const MIB: f64 = 1_048_576.0;

/// A run's figures.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) kind: Kind,
    pub(crate) load: LoadArgs,
    pub(crate) seconds: f64,
    pub(crate) messages: u64,
    pub(crate) requests: u64,
    pub(crate) messages_per_second: f64,
    /// Of message bodies.
    pub(crate) mib_per_second: f64,
    pub(crate) latency: Latency,
    /// Refused requests by response code.
    pub(crate) refused: BTreeMap<String, Refused>,
    pub(crate) server: Option<Server>,
}

/// Latencies in microseconds: of a request, or end to end of a message.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latency {
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

/// Refusals with one code.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refused {
    pub(crate) count: u64,
    pub(crate) remark: String,
}

/// The server's process over the measured time.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Server {
    pub(crate) cpu_us_per_message: f64,
    pub(crate) cpu_cores: f64,
    /// At the end.
    pub(crate) rss_anon_mib: f64,
    pub(crate) rss_file_mib: f64,
}

/// Exact for all counts that a run can reach.
#[expect(clippy::cast_precision_loss, reason = "figures for people, far below 2^53")]
fn real(n: u64) -> f64 {
    n as f64
}

impl Report {
    pub(crate) fn of(kind: Kind, load: &LoadArgs, outcome: &Outcome) -> Self {
        let Outcome { stats, seconds, usage } = outcome;
        let us = |quantile: f64| real(stats.latency.value_at_quantile(quantile)) / 1e3;
        let per_second = real(stats.messages) / seconds;
        let server = usage.map(|(before, after)| {
            let cpu_us = real(after.cpu_us - before.cpu_us);
            Server {
                cpu_us_per_message: cpu_us / real(stats.messages.max(1)),
                cpu_cores: cpu_us / 1e6 / seconds,
                rss_anon_mib: real(after.rss_anon) / MIB,
                rss_file_mib: real(after.rss_file) / MIB,
            }
        });
        let refused = stats.refused.iter().map(|(code, (count, remark))| {
            let name = format!("{} ({code})", response_code::name(*code));
            (name, Refused { count: *count, remark: remark.clone() })
        });
        Self {
            kind,
            load: load.clone(),
            seconds: *seconds,
            messages: stats.messages,
            requests: stats.requests,
            messages_per_second: per_second,
            mib_per_second: real(stats.bytes) / seconds / MIB,
            latency: Latency {
                mean_us: stats.latency.mean() / 1e3,
                p50_us: us(0.5),
                p99_us: us(0.99),
                p999_us: us(0.999),
                max_us: real(stats.latency.max()) / 1e3,
            },
            refused: refused.collect(),
            server,
        }
    }

    pub(crate) fn to_json(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// Fails if no message went through: such a run has measured nothing.
    pub(crate) fn verdict(&self) -> anyhow::Result<()> {
        if self.messages > 0 {
            return Ok(());
        }
        match self.refused.first_key_value() {
            Some((code, refused)) => bail!(
                "no message went through: {} requests were refused, for example with {code}: {}",
                self.refusals(),
                refused.remark
            ),
            None => bail!("no message went through in {:.1} s", self.seconds),
        }
    }

    /// How many requests were refused.
    pub(crate) fn refusals(&self) -> u64 {
        self.refused.values().map(|r| r.count).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoadArgs { connections, in_flight, size, batch, bursts, .. } = &self.load;
        let what = match self.kind {
            Kind::Produce => "produce",
            Kind::Consume => "consume",
            Kind::EndToEnd => "end to end",
        };
        let flow = if *bursts { "at once" } else { "in flight" };
        write!(f, "{what}: {connections} connections x {in_flight} {flow}, {size} bytes")?;
        writeln!(
            f,
            "{}",
            if *batch > 1 { format!(", batches of {batch}") } else { String::new() }
        )?;
        writeln!(
            f,
            "  throughput  {:.0} messages/s, {:.1} MiB/s ({} messages in {:.1} s)",
            self.messages_per_second, self.mib_per_second, self.messages, self.seconds
        )?;
        let l = &self.latency;
        writeln!(
            f,
            "  latency     p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us, max {:.0} us",
            l.p50_us, l.p99_us, l.p999_us, l.max_us
        )?;
        if let Some(server) = &self.server {
            writeln!(
                f,
                "  server      {:.2} us CPU per message, {:.2} cores, RSS {:.0} MiB anonymous + \
                 {:.0} MiB of files",
                server.cpu_us_per_message,
                server.cpu_cores,
                server.rss_anon_mib,
                server.rss_file_mib
            )?;
        }
        for (code, refused) in &self.refused {
            writeln!(f, "  refused     {} x {code}: {}", refused.count, refused.remark)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::stats::Stats;
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn report(stats: Stats) -> Report {
        let load = Line::parse_from(["bench", "--size", "1024"]).load;
        Report::of(Kind::Consume, &load, &Outcome { stats, seconds: 2.0, usage: None })
    }

    #[test]
    fn bytes_are_those_that_were_received() {
        let mut stats = Stats::new().unwrap();
        stats.answered(3, 4 << 20, 1);
        assert_eq!(report(stats).mib_per_second.to_string(), "2");
    }

    #[test]
    fn a_run_without_a_message_fails() {
        let mut stats = Stats::new().unwrap();
        stats.refuse(2, || Some("busy".to_owned()));
        stats.refuse(2, || None);
        let refused = report(stats).verdict().unwrap_err().to_string();
        assert_eq!(
            refused,
            "no message went through: 2 requests were refused, for example with SYSTEM_BUSY (2): busy"
        );
        let nothing = report(Stats::new().unwrap()).verdict().unwrap_err().to_string();
        assert_eq!(nothing, "no message went through in 2.0 s");
        let mut stats = Stats::new().unwrap();
        stats.answered(1, 1, 1);
        stats.refuse(2, || None);
        assert!(report(stats).verdict().is_ok());
    }
}
