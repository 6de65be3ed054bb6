//! What was found in store and metadata, as rows.

use blockhouse_meta::examine::Unreadable;
use blockhouse_store::examine::{Finding, Severity};
use serde::Serialize;

use crate::cluster::Table;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) severity: &'static str,
    kind: &'static str,
    file: String,
    offset: Option<u64>,
    problem: String,
    remedy: String,
}

const DAMAGE: &str = "damage";
const NOTICE: &str = "notice";

impl Row {
    pub(super) fn of(finding: &Finding) -> Self {
        Self {
            severity: match finding.severity {
                Severity::Damage => DAMAGE,
                Severity::Notice => NOTICE,
            },
            kind: finding.kind.name(),
            file: finding.file.clone(),
            offset: finding.offset,
            problem: finding.problem.clone(),
            remedy: finding.remedy.text().to_owned(),
        }
    }

    pub(super) fn of_config(unreadable: &Unreadable) -> Self {
        let remedy = if unreadable.has_bak {
            "the next start reads its .bak"
        } else {
            "cannot be mended: put a good copy in its place, or remove it"
        };
        Self {
            severity: DAMAGE,
            kind: "config",
            file: unreadable.file.clone(),
            offset: None,
            problem: unreadable.problem.clone(),
            remedy: remedy.to_owned(),
        }
    }

    pub(super) fn ahead(file: &str, queue: &str, problem: &str) -> Self {
        Self {
            severity: DAMAGE,
            kind: "consumer-offset",
            file: file.to_owned(),
            offset: None,
            problem: format!("{queue}: {problem}"),
            remedy: "repair: set it to the queue's end".to_owned(),
        }
    }

    pub(super) fn is_damage(&self) -> bool {
        self.severity == DAMAGE
    }
}

/// All rows as a table, damage first.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&["", "kind", "file", "offset", "problem", "remedy"]);
    let (damage, notices): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.is_damage());
    for row in damage.into_iter().chain(notices) {
        let offset = row.offset.map_or_else(|| "-".to_owned(), |at| at.to_string());
        table.row([row.severity, row.kind, &row.file, &offset, &row.problem, &row.remedy]);
    }
    if table.is_empty() { String::new() } else { table.to_string() }
}
