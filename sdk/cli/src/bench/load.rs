//! What load to make.

use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;

use super::frames::Stamp;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Sending
    Produce,
    /// Pulling
    Consume,
    /// Sending until received
    EndToEnd,
}

/// The load.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub(crate) struct LoadArgs {
    /// Connections
    #[arg(long, short = 'c', default_value_t = 8)]
    pub(crate) connections: usize,
    /// Requests that each connection keeps in flight
    #[arg(long, short = 'w', default_value_t = 16)]
    pub(crate) in_flight: usize,
    /// Send a connection's requests all at once, and again when all are answered
    #[arg(long, conflicts_with = "rate")]
    pub(crate) bursts: bool,
    /// Bytes of a message's body
    #[arg(long, short = 's', default_value_t = 1024)]
    pub(crate) size: usize,
    /// Messages per send request; more than 1 sends batches
    #[arg(long, default_value_t = 1)]
    pub(crate) batch: usize,
    /// Messages per pull request
    #[arg(long, default_value_t = 32)]
    pub(crate) pull: u32,
    /// Topics, created if missing
    #[arg(long, default_value_t = 1)]
    pub(crate) topics: usize,
    /// Queues of each topic
    #[arg(long, default_value_t = 8)]
    pub(crate) queues: u32,
    /// What the topics' names begin with
    #[arg(long, value_name = "NAME", default_value = "blockhouse-bench")]
    pub(crate) topic: String,
    /// Messages per second that all connections together send; as many as possible if absent
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) rate: Option<f64>,
    /// How long to measure, in seconds
    #[arg(long, short = 'd', value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) duration: f64,
    /// Stop measuring after so many messages, if that is sooner
    #[arg(long, value_name = "N")]
    pub(crate) messages: Option<u64>,
    /// How long to run before measuring, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    pub(crate) warmup: f64,
    /// Threads of the generator
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// For `consume`: messages that the topics must hold before it begins
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub(crate) fill: u64,
}

impl LoadArgs {
    /// Refuses loads that make no sense or would take the machine down.
    pub(crate) fn check(&self, kind: Kind) -> anyhow::Result<()> {
        let within = |what: &str, value: usize, max: usize| {
            ensure!((1..=max).contains(&value), "--{what} must be between 1 and {max}");
            Ok(())
        };
        within("connections", self.connections, 20_000)?;
        within("in-flight", self.in_flight, 10_000)?;
        within("batch", self.batch, 10_000)?;
        within("topics", self.topics, 10_000)?;
        within("threads", self.threads, 64)?;
        ensure!(self.size <= 16 << 20, "--size must be at most 16 MiB");
        ensure!(self.size > 0, "--size must be at least 1: RocketMQ stores no empty messages");
        ensure!(
            kind != Kind::EndToEnd || self.size >= Stamp::LEN,
            "--size must be at least {} for end-to-end: bodies carry the time",
            Stamp::LEN
        );
        ensure!((1..=1_024).contains(&self.queues), "--queues must be between 1 and 1024");
        ensure!((1..=1_024).contains(&self.pull), "--pull must be between 1 and 1024");
        let memory = self.connections * self.in_flight * (self.size + 512) * self.batch;
        ensure!(memory < 4 << 30, "connections x in-flight x batch x size is over 4 GiB");
        ensure!(self.rate.is_none_or(|r| r > 0.0), "--rate must be over 0");
        ensure!(
            kind != Kind::Consume || self.rate.is_none(),
            "--rate is for sending: consume pulls as fast as the broker answers, so leave it out"
        );
        ensure!(kind != Kind::Consume || !self.bursts, "--bursts is for sending: leave it out");
        ensure!(self.duration > 0.0 && self.duration < 1e6, "--duration must be over 0");
        ensure!((0.0..1e6).contains(&self.warmup), "--warmup must not be negative");
        Ok(())
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.duration)
    }

    pub(crate) fn warmup(&self) -> Duration {
        Duration::from_secs_f64(self.warmup)
    }

    pub(crate) fn topic_names(&self) -> Vec<String> {
        (0..self.topics).map(|i| format!("{}-{i}", self.topic)).collect()
    }

    /// Nanoseconds between two requests of one connection, if there is a rate.
    pub(crate) fn interval(&self) -> Option<u64> {
        let messages_per_request = u32::try_from(self.batch).unwrap_or(u32::MAX);
        let connections = u32::try_from(self.connections).unwrap_or(u32::MAX);
        let seconds = f64::from(connections) * f64::from(messages_per_request) / self.rate?;
        u64::try_from(Duration::try_from_secs_f64(seconds).ok()?.as_nanos()).ok()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadArgs,
    }

    #[test]
    fn a_rate_is_for_those_who_send() {
        let paced = Line::parse_from(["bench", "--rate", "5000"]).load;
        assert!(paced.check(Kind::Produce).is_ok() && paced.check(Kind::EndToEnd).is_ok());
        let refused = paced.check(Kind::Consume).unwrap_err().to_string();
        assert!(refused.starts_with("--rate is for sending"), "{refused}");
        assert!(Line::parse_from(["bench"]).load.check(Kind::Consume).is_ok());
        let bursts = Line::parse_from(["bench", "--bursts"]).load;
        assert!(bursts.check(Kind::Produce).is_ok() && bursts.check(Kind::Consume).is_err());
        assert!(Line::try_parse_from(["bench", "--bursts", "--rate", "5"]).is_err());
    }
}
