//! The records that somebody wants to see, as rows with names.

use std::path::PathBuf;

use blockhouse_disk::Disk;
use blockhouse_meter::FlightRecord;
use blockhouse_meter::meter::CodeNames;
use serde::{Deserialize, Serialize};

use crate::reader::{Error, Flight, Tally};

/// What a record must be to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Select {
    /// Answered from then on, in microseconds since 1970.
    pub since_us: Option<i64>,
    /// Of this topic.
    pub topic: Option<String>,
    /// Of this group.
    pub group: Option<String>,
    /// Of this client: what it calls itself, its address, or its address and port.
    pub client: Option<String>,
    /// With this request code, by number or name.
    pub code: Option<String>,
    /// With this answer, by number or name.
    pub answer: Option<String>,
    /// Any answer but success.
    pub failed: bool,
    /// That took at least so many microseconds, and did not wait for messages.
    pub slower_us: Option<u64>,
    /// Of this trace, as 32 hexadecimal digits.
    pub trace: Option<String>,
    /// The last so many.
    pub limit: usize,
}

/// A record as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    /// When it was answered, in microseconds since 1970.
    pub at_us: i64,
    /// How long it took, in microseconds.
    pub total_us: u64,
    /// What was asked.
    pub code: i32,
    /// Its name.
    pub request: String,
    /// What was answered.
    pub answer: i32,
    /// Its name.
    pub response: String,
    /// How many requests of one burst were alike.
    pub requests: u32,
    /// Messages of all of them.
    pub messages: u32,
    /// Bytes of those.
    pub bytes: u64,
    /// The topic, if it was one.
    pub topic: Option<String>,
    /// The queue, if it was one.
    pub queue: Option<u32>,
    /// The group, if it was one.
    pub group: Option<String>,
    /// What the client calls itself, if it has said so.
    pub client: Option<String>,
    /// From where it came.
    pub address: String,
    /// On which connection of the process.
    pub connection: u64,
    /// Why it was refused, in short, if it was.
    pub reason: Option<String>,
    /// The trace, if it is known.
    pub trace_id: Option<String>,
    /// Whether it waited for messages.
    pub held: bool,
    /// Whether it waited for something else.
    pub late: bool,
    /// Whether no answer was wanted.
    pub one_way: bool,
    /// What the time went to, where it was measured.
    pub stages: Option<StageMicros>,
    /// The process that answered.
    pub process: u32,
    /// The ring.
    pub ring: u32,
    /// Its number there.
    pub sequence: u64,
}

/// Stages, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageMicros {
    /// Reading the request, authorization, topic, hooks.
    pub admit: u64,
    /// Encoding and placing.
    pub append: u64,
    /// The rest: until it was written, as durable as configured, and answered.
    pub flush: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// By time.
    pub records: Vec<Row>,
    /// Records that fit, also those that were left out.
    pub fitting: u64,
    /// All records that were looked at.
    pub seen: u64,
    /// Places whose record is not whole.
    pub torn: u64,
}

/// The last records of these files that fit.
///
/// # Errors
/// A file is none, or cannot be read.
pub fn find(
    disk: &dyn Disk,
    paths: &[PathBuf],
    select: &Select,
    names: CodeNames,
) -> Result<Found, Error> {
    let mut found = Found::default();
    for path in paths {
        let mut flight = Flight::open(disk, path)?;
        let Tally { whole, torn } = flight.each(&mut |flight, place, record| {
            if let Some(row) = select.take(flight, place, record, names) {
                found.fitting += 1;
                found.records.push(row);
                if found.records.len() > select.limit.saturating_mul(2).max(1_024) {
                    found.keep(select.limit);
                }
            }
        })?;
        found.seen += whole;
        found.torn += torn;
    }
    found.keep(select.limit);
    Ok(found)
}

impl Found {
    fn keep(&mut self, limit: usize) {
        self.records.sort_by_key(|row| (row.at_us, row.process, row.ring, row.sequence));
        let surplus = self.records.len().saturating_sub(limit);
        self.records.drain(..surplus);
    }
}

impl Select {
    fn take(
        &self,
        flight: &mut Flight,
        (ring, sequence): (u32, u64),
        record: &FlightRecord,
        names: CodeNames,
    ) -> Option<Row> {
        let at_us = flight.wall_micros(record.ended);
        let total_us = u64::try_from(record.total.as_micros()).unwrap_or(u64::MAX);
        let [request, response] = [names[0](record.request), names[1](record.response)];
        let subject = &record.subject;
        let fits = self.since_us.is_none_or(|since| at_us >= since)
            && self.slower_us.is_none_or(|least| total_us >= least && !record.is_held)
            && is_code(self.code.as_deref(), record.request, request)
            && is_code(self.answer.as_deref(), record.response, response)
            && (!self.failed || record.response != 0)
            && self.trace.as_deref().is_none_or(|trace| is_trace(trace, subject.trace_id));
        if !fits {
            return None;
        }
        let mut named = |number| flight.name(number).map(|name| name.to_string());
        let [topic, group, client] = [subject.topic, subject.group, record.client].map(&mut named);
        let is =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let (address, ip) = (record.peer.to_string(), record.peer.ip().to_string());
        let is_client = is(&self.client, &client)
            || [&address, &ip].into_iter().any(|a| self.client.as_ref() == Some(a));
        if !is(&self.topic, &topic) || !is(&self.group, &group) || !is_client {
            return None;
        }
        let reason = flight.name(subject.reason).map(|reason| reason.to_string());
        Some(Row {
            at_us,
            total_us,
            code: record.request,
            request: request.to_owned(),
            answer: record.response,
            response: response.to_owned(),
            requests: record.requests,
            messages: subject.messages,
            bytes: subject.bytes,
            topic,
            queue: subject.queue,
            group,
            client,
            address,
            connection: record.connection,
            reason,
            trace_id: (subject.trace_id != 0).then(|| format!("{:032x}", subject.trace_id)),
            held: record.is_held,
            late: record.is_late,
            one_way: record.is_one_way,
            stages: stages(record),
            process: flight.head().process,
            ring,
            sequence,
        })
    }
}

fn stages(record: &FlightRecord) -> Option<StageMicros> {
    let stages = record.subject.stages;
    let all = [stages.admit, stages.append, stages.flush];
    if all.iter().all(|stage| stage.is_zero()) {
        return None;
    }
    let micros = |stage: blockhouse_meter::spans::Ticks| {
        u64::try_from(stage.time().as_micros()).unwrap_or(u64::MAX)
    };
    let [admit, append, flush] = all.map(micros);
    Some(StageMicros { admit, append, flush })
}

fn is_code(wanted: Option<&str>, number: i32, name: &str) -> bool {
    wanted.is_none_or(|wanted| wanted.parse() == Ok(number) || name.eq_ignore_ascii_case(wanted))
}

fn is_trace(wanted: &str, trace_id: u128) -> bool {
    wanted.len() == 32 && u128::from_str_radix(wanted, 16) == Ok(trace_id)
}
