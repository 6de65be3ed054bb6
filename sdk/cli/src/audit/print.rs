//! How records look.

use blockhouse_audit::Record;

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
        cells.iter().filter(|cell| !cell.is_empty()).map(|c| out::foreign(c)).collect();
    told.join("  ")
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
            self.0.row(cells(record));
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
    fn values_stay_values() {
        assert_eq!(quoted("a"), "a");
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
    }
}
