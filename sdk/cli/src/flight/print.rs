//! Records for people and for programs.

use blockhouse_flight::{Found, Row};

use crate::cluster::Table;
use crate::utc::time;
use crate::{out, told};

/// Prints what was found.
pub(super) fn found(found: &Found, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        out::line(&serde_json::to_string_pretty(found)?);
        return Ok(());
    }
    let columns = [
        "answered", "request", "answer", "ms", "n", "bytes", "topic", "queue", "group", "client",
        "notes",
    ];
    let mut table = Table::new(&columns);
    for row in &found.records {
        table.row(cells(row));
    }
    if table.is_empty() {
        out::line("No record fits.");
    } else {
        out::text(&table.to_string());
    }
    let Found { records, fitting, seen, torn } = found;
    out::note(&format!(
        "{} of {fitting} that fit, of {seen} records; {torn} not whole",
        records.len()
    ));
    Ok(())
}

fn cells(row: &Row) -> [String; 11] {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        time(row.at_us.div_euclid(1_000)),
        told::code(&row.request, row.code),
        told::code(&row.response, row.answer),
        format!("{}.{:03}", row.total_us / 1_000, row.total_us % 1_000),
        row.requests.to_string(),
        row.bytes.to_string(),
        or_none(&row.topic),
        row.queue.map_or_else(|| "-".to_owned(), |queue| queue.to_string()),
        or_none(&row.group),
        row.client.clone().unwrap_or_else(|| row.address.clone()),
        notes(row),
    ]
}

fn notes(row: &Row) -> String {
    let words = [(row.held, "held"), (row.late, "late"), (row.one_way, "one-way")];
    let mut notes: Vec<String> =
        words.iter().filter(|(is, _)| *is).map(|(_, word)| (*word).to_owned()).collect();
    if let Some(stages) = row.stages {
        let blockhouse_flight::select::StageMicros { admit, append, flush } = stages;
        notes.push(format!("admit {admit} append {append} flush {flush} us"));
    }
    notes.extend(row.trace_id.as_ref().map(|id| format!("trace {id}")));
    notes.extend(row.reason.clone());
    notes.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line() {
        let row = Row {
            at_us: 1_795_465_151_870_999,
            total_us: 1_050,
            code: 310,
            request: "SEND_MESSAGE_V2".to_owned(),
            answer: 77,
            response: "UNKNOWN".to_owned(),
            requests: 3,
            topic: Some("orders".to_owned()),
            address: "10.0.0.5:1".to_owned(),
            late: true,
            trace_id: Some("ab".to_owned()),
            reason: Some("too many".to_owned()),
            ..Row::default()
        };
        assert_eq!(
            cells(&row).join(" "),
            "2026-11-23T20:19:11.870Z send_message_v2 77 1.050 3 0 orders - - 10.0.0.5:1 late, trace ab, too many"
        );
    }
}
