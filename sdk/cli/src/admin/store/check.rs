//! What is wrong.

use blockhouse_store::examine::{Access, Lost};
use serde_json::{Value, json};

use super::findings::table;
use super::stopped::Checked;
use super::{SiteArgs, Stopped, Verdict, print_json};
use crate::cluster::Table;
use crate::out;

/// Lost messages that people are shown.
const SHOWN: usize = 20;

pub(super) fn run(args: &SiteArgs, as_json: bool) -> anyhow::Result<Verdict> {
    let stopped = Stopped::open(args, Access::Read)?;
    let checked = stopped.check()?;
    if as_json {
        print_json(&to_json(&checked))?;
    } else {
        out::text(&as_text(&checked));
    }
    Ok(verdict(&checked))
}

/// How much damage there is.
pub(super) fn damage(checked: &Checked) -> u64 {
    let beside = checked.rows.iter().skip(checked.report.findings.list.len());
    checked.report.findings.damage + beside.filter(|row| row.is_damage()).count() as u64
}

pub(super) fn verdict(checked: &Checked) -> Verdict {
    if damage(checked) == 0 { Verdict::Whole } else { Verdict::Damaged }
}

pub(super) fn to_json(checked: &Checked) -> Value {
    let findings = &checked.report.findings;
    json!({
        "damage": damage(checked),
        "findings": checked.rows,
        "leftOut": findings.left_out(),
        "log": checked.report.survey.log,
        "lost": checked.report.lost,
        "lostCount": checked.report.lost_count,
    })
}

pub(super) fn as_text(checked: &Checked) -> String {
    let log = &checked.report.survey.log;
    let mut text = table(&checked.rows);
    let left_out = checked.report.findings.left_out();
    if left_out > 0 {
        text.push_str(&format!("... and {left_out} more of these kinds\n"));
    }
    text.push_str(&lost(&checked.report.lost, checked.report.lost_count));
    text.push_str(&format!(
        "Read {} records in {} files, from {} to {}.\n",
        log.records, log.files, log.begin, log.end
    ));
    text.push_str(&match damage(checked) {
        0 => "Nothing is wrong.\n".to_owned(),
        count => format!("{count} things are wrong; `store repair` tells what it would do.\n"),
    });
    text
}

/// Messages that the queues know and the log has no more.
pub(super) fn lost(lost: &[Lost], count: u64) -> String {
    if lost.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["lost topic", "queue", "offset", "was at", "bytes"]);
    for message in lost.iter().take(SHOWN) {
        table.row([
            message.topic.clone(),
            message.queue.to_string(),
            message.offset.to_string(),
            message.physical.to_string(),
            message.size.to_string(),
        ]);
    }
    let shown = lost.len().min(SHOWN) as u64;
    let more = if count > shown {
        format!("... and {} more (--json names up to 1,000)\n", count - shown)
    } else {
        String::new()
    };
    format!("{table}{more}")
}
