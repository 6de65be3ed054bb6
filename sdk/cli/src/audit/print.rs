//! How records look.

use blockhouse_audit::Record;
use serde_json::{Value, json};

use crate::cluster::Table;
use crate::out;
use crate::utc::time;

/// How records are exported.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Form {
    /// Each record as it stands in the log
    OcsfJsonl,
    /// What `query` shows, for spreadsheets
    Csv,
    /// OTLP logs, a request of at most 512 records a line, as a collector's file receiver reads them
    OtlpJson,
}

/// Takes records as they are found.
pub(super) trait Printer {
    /// False if nobody reads any more.
    fn one(&mut self, line: &[u8], record: Option<&Record>) -> bool;

    /// There are no more.
    fn end(&mut self) {}
}

const COLUMNS: [&str; 10] = [
    "record",
    "time",
    "kind",
    "action",
    "outcome",
    "principal",
    "from",
    "resource",
    "by",
    "detail",
];

fn cells(record: &Record) -> [String; 10] {
    let Record { metadata, unmapped, activity_name, status_detail, .. } = record;
    let detail = match record.count.filter(|count| *count > 1) {
        Some(count) => format!("{status_detail} ({count} times)"),
        None => status_detail.clone(),
    };
    [
        metadata.sequence.to_string(),
        time(record.time),
        unmapped.kind.clone(),
        activity_name.clone(),
        unmapped.outcome.clone(),
        record.principal().to_owned(),
        record.peer(),
        record.resource().to_owned(),
        record.decided_by().to_owned(),
        detail,
    ]
}

/// A record on one line.
pub(super) fn sentence(record: &Record) -> String {
    let cells = cells(record);
    let told: Vec<_> =
        cells.iter().filter(|cell| !cell.is_empty()).map(|c| out::escaped(c)).collect();
    told.join("  ")
}

/// A checkpoint and what stands in its first lines. The text is what `verify --checkpoint` takes.
pub(super) fn checkpoint(text: &str) -> Value {
    let mut lines = text.lines();
    let (origin, records, root) = (lines.next(), lines.next(), lines.next());
    let records = records.and_then(|count| count.parse::<u64>().ok());
    json!({ "origin": origin, "records": records, "root": root, "checkpoint": text })
}

/// A table, once all are there.
pub(super) struct Rows(Table);

impl Default for Rows {
    fn default() -> Self {
        Self(Table::new(&COLUMNS))
    }
}

impl Printer for Rows {
    fn one(&mut self, _line: &[u8], record: Option<&Record>) -> bool {
        if let Some(record) = record {
            self.0.row(cells(record).map(|cell| out::escaped(&cell).into_owned()));
        }
        true
    }

    fn end(&mut self) {
        out::text(&self.0.to_string());
    }
}

/// Lines as they stand in the log.
pub(super) struct Lines;

impl Printer for Lines {
    fn one(&mut self, line: &[u8], _record: Option<&Record>) -> bool {
        out::try_line(&String::from_utf8_lossy(line))
    }
}

/// Comma-separated values, as RFC 4180 writes them.
#[derive(Default)]
pub(super) struct Csv {
    has_begun: bool,
}

impl Printer for Csv {
    fn one(&mut self, _line: &[u8], record: Option<&Record>) -> bool {
        if !std::mem::replace(&mut self.has_begun, true) && !out::try_line(&COLUMNS.join(",")) {
            return false;
        }
        record.is_none_or(|record| {
            let cells = cells(record).map(|cell| quoted(&cell));
            out::try_line(&cells.join(","))
        })
    }
}

/// Records of a line.
const BATCH: usize = 512;

/// Requests to export logs, in OTLP's JSON.
#[derive(Default)]
pub(super) struct Otlp(Vec<Value>);

impl Otlp {
    /// False if nobody reads any more.
    fn line(&mut self) -> bool {
        let records = std::mem::take(&mut self.0);
        if records.is_empty() {
            return true;
        }
        let request = json!({ "resourceLogs": [{
            "resource": { "attributes": [attribute("service.name", "blockhouse")] },
            "scopeLogs": [{
                "scope": { "name": "blockhouse-audit", "version": env!("CARGO_PKG_VERSION") },
                "logRecords": records,
            }],
        }] });
        out::try_line(&request.to_string())
    }
}

impl Printer for Otlp {
    fn one(&mut self, line: &[u8], record: Option<&Record>) -> bool {
        self.0.extend(record.map(|record| log_record(line, record)));
        self.0.len() < BATCH || self.line()
    }

    fn end(&mut self) {
        // Whoever has gone away misses nothing.
        let _heard = self.line();
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// The record is the body, as it stands in the log; what is filtered by is beside it.
fn log_record(line: &[u8], record: &Record) -> Value {
    // What severities of OCSF are in OTLP: informational, low, medium, high.
    let (number, text) = match record.severity_id {
        0 | 1 => (9, "INFO"),
        2 => (13, "WARN"),
        3 => (17, "ERROR"),
        _ => (21, "FATAL"),
    };
    // 64 bits are text in OTLP's JSON.
    let nanoseconds = (i128::from(record.time) * 1_000_000).to_string();
    json!({
        "timeUnixNano": nanoseconds,
        "observedTimeUnixNano": nanoseconds,
        "severityNumber": number,
        "severityText": text,
        "body": { "stringValue": String::from_utf8_lossy(line) },
        "attributes": [
            attribute("event.name", &format!("blockhouse.audit.{}", record.unmapped.kind)),
            attribute("audit.sequence", &record.metadata.sequence.to_string()),
            attribute("audit.outcome", &record.unmapped.outcome),
            attribute("audit.principal", record.principal()),
            attribute("audit.resource", record.resource()),
        ],
    })
}

/// In quotes where it has to be; what a spreadsheet would compute is kept a text.
fn quoted(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_log_of_otlp() {
        let record = Record { time: 1_500, severity_id: 3, ..Record::default() };
        let log = log_record(br#"{"time":1500}"#, &record);
        assert_eq!(log["timeUnixNano"], "1500000000");
        assert_eq!((&log["severityNumber"], &log["severityText"]), (&17.into(), &"ERROR".into()));
        assert_eq!(log["body"]["stringValue"], r#"{"time":1500}"#);
        assert_eq!(log["attributes"][1]["value"]["stringValue"], "0");
    }

    #[test]
    fn a_checkpoint_is_its_parts_and_its_text() {
        let text = "blockhouse-audit-1f\n17\nAAEC\n\n\u{2014} blockhouse-audit-1f sig\n";
        let told = json!({ "origin": "blockhouse-audit-1f", "records": 17, "root": "AAEC", "checkpoint": text });
        assert_eq!(checkpoint(text), told);
    }

    #[test]
    fn values_stay_values() {
        assert_eq!(quoted("a"), "a");
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
    }
}
