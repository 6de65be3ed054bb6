//! Records summed up by what they have in common: who asks most, who is slow, who is refused.

use std::collections::BTreeMap;

use blockhouse_flight::{Found, Row};
use clap::ValueEnum;
use serde::Serialize;

use crate::cluster::Table;
use crate::utc::time;
use crate::{out, told};

/// What records have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// The client: its id if it has said it, else its IP address
    Client,
    /// The topic
    Topic,
    /// The queue
    Queue,
    /// The producer's or the consumer's group
    Group,
    /// What was asked
    Request,
    /// What was answered
    Answer,
}

impl By {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Topic => "topic",
            Self::Queue => "queue",
            Self::Group => "group",
            Self::Request => "request",
            Self::Answer => "answer",
        }
    }

    fn of(self, row: &Row) -> String {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        match self {
            Self::Client => row.client.clone().unwrap_or_else(|| told::ip(&row.address).to_owned()),
            Self::Topic => or_none(&row.topic),
            Self::Queue => or_none(&row.queue.map(|queue| queue.to_string())),
            Self::Group => or_none(&row.group),
            Self::Request => told::code(&row.request, row.code),
            Self::Answer => told::code(&row.response, row.answer),
        }
    }
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    /// Most requests first
    Requests,
    /// Most bytes first
    #[default]
    Bytes,
    /// The slowest request first, those that waited for messages left out
    Slowest,
    /// Most failed requests first
    Failed,
    /// Whose last request is longest ago first
    Quiet,
}

/// Records that have all of it in common.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sum {
    /// In the order in which it was asked for.
    of: Vec<String>,
    requests: u64,
    failed: u64,
    messages: u64,
    bytes: u64,
    /// The longest that a request took which did not wait for messages.
    slowest_us: u64,
    last_us: i64,
}

impl Sum {
    fn add(&mut self, row: &Row) {
        let requests = u64::from(row.requests);
        self.requests += requests;
        self.failed += if row.answer == 0 { 0 } else { requests };
        self.messages += u64::from(row.messages);
        self.bytes += row.bytes;
        self.slowest_us = self.slowest_us.max(if row.held { 0 } else { row.total_us });
        self.last_us = self.last_us.max(row.at_us);
    }
}

fn sums(rows: &[Row], by: &[By], order: Order) -> Vec<Sum> {
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    for row in rows {
        let of: Vec<String> = by.iter().map(|by| by.of(row)).collect();
        sums.entry(of.clone()).or_insert_with(|| Sum { of, ..Sum::default() }).add(row);
    }
    let mut sums: Vec<Sum> = sums.into_values().collect();
    sums.sort_by_key(|sum| {
        std::cmp::Reverse(match order {
            Order::Requests => i128::from(sum.requests),
            Order::Bytes => i128::from(sum.bytes),
            Order::Slowest => i128::from(sum.slowest_us),
            Order::Failed => i128::from(sum.failed),
            Order::Quiet => -i128::from(sum.last_us),
        })
    });
    sums
}

/// Prints them.
pub(super) fn found(found: &Found, by: &[By], order: Order, as_json: bool) -> anyhow::Result<()> {
    let sums = sums(&found.records, by, order);
    if as_json {
        out::line(&serde_json::to_string_pretty(&sums)?);
        return Ok(());
    }
    let numbers = ["requests", "failed", "messages", "bytes", "slowest ms", "last"];
    let columns: Vec<&str> = by.iter().map(|by| by.name()).chain(numbers).collect();
    let mut table = Table::new(&columns);
    for sum in &sums {
        let counts = [sum.requests, sum.failed, sum.messages, sum.bytes].map(|n| n.to_string());
        let slowest = format!("{}.{:03}", sum.slowest_us / 1_000, sum.slowest_us % 1_000);
        let last = time(sum.last_us.div_euclid(1_000));
        table.row(sum.of.iter().cloned().chain(counts).chain([slowest, last]));
    }
    out::text(&if table.is_empty() { "No record fits.\n".to_owned() } else { table.to_string() });
    let first = found.records.first().map_or_else(String::new, |row| {
        format!(", the first of them of {}", time(row.at_us.div_euclid(1_000)))
    });
    out::note(&format!("of {} records{first}", found.records.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(client: Option<&str>, port: u16, bytes: u64, total_us: u64) -> Row {
        Row {
            client: client.map(str::to_owned),
            address: format!("10.0.0.5:{port}"),
            requests: 2,
            // A code without a name is told by its number.
            response: "UNKNOWN".to_owned(),
            bytes,
            total_us,
            at_us: total_us.cast_signed(),
            ..Row::default()
        }
    }

    #[test]
    fn records_are_summed_by_what_they_have_in_common() {
        let held = Row { held: true, answer: 19, ..row(Some("a"), 1, 0, 15_000_000) };
        let rows = [
            row(Some("a"), 1, 5, 70),
            row(Some("a"), 2, 6, 30),
            held,
            row(None, 3, 99, 1),
            row(None, 4, 1, 2),
        ];
        let found = sums(&rows, &[By::Client], Order::Bytes);
        let told: Vec<_> = found
            .iter()
            .map(|s| (&*s.of[0], s.requests, s.failed, s.bytes, s.slowest_us))
            .collect();
        assert_eq!(told, [("10.0.0.5", 4, 0, 100, 2), ("a", 6, 2, 11, 70)]);
        let first = |order| sums(&rows, &[By::Client, By::Answer], order)[0].of.clone();
        assert_eq!(first(Order::Slowest), ["a", "0"]);
        assert_eq!(first(Order::Failed), ["a", "19"]);
        assert_eq!(first(Order::Quiet), ["10.0.0.5", "0"]);
    }
}
