//! What a run has shown, for people and programs.

use std::collections::BTreeMap;
use std::fmt;

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
        let size = real(u64::try_from(load.size).unwrap_or(0));
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
            mib_per_second: per_second * size / MIB,
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

    /// How many requests were refused.
    pub(crate) fn refusals(&self) -> u64 {
        self.refused.values().map(|r| r.count).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoadArgs { connections, in_flight, size, batch, .. } = &self.load;
        let what = match self.kind {
            Kind::Produce => "produce",
            Kind::Consume => "consume",
            Kind::EndToEnd => "end to end",
        };
        write!(f, "{what}: {connections} connections x {in_flight} in flight, {size} bytes")?;
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
