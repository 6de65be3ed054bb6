//! Which records are meant.

use blockhouse_audit::{Record, kind_name, outcome_name};
use blockhouse_hook::{AuditKind, Outcome};
use blockhouse_model::Clock as _;
use blockhouse_service::SystemClock;
use clap::builder::PossibleValuesParser;

use crate::utc::{TIMES, since};
use crate::wrong_use;

/// What the log says of itself, such as that events were lost.
const OF_THE_LOG: &str = "audit";

fn kinds() -> impl Iterator<Item = &'static str> {
    AuditKind::ALL.into_iter().map(kind_name).chain([OF_THE_LOG])
}

/// What a record must be to be printed.
#[derive(Debug, clap::Args)]
pub(super) struct Select {
    /// From then on: so long ago (`90s`, `15m`, `2h`, `7d`), a UTC time (`2026-01-31T08:00:00`), or
    /// milliseconds since 1970
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until then, in the same forms
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this principal: NAME, or `user:NAME` as policies have it
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// With this outcome
    #[arg(long, value_parser = PossibleValuesParser::new(Outcome::ALL.map(outcome_name)))]
    outcome: Option<String>,
    /// Of this kind
    #[arg(long, value_parser = PossibleValuesParser::new(kinds()))]
    kind: Option<String>,
    /// On something whose name has this in it
    #[arg(long, value_name = "TEXT")]
    resource: Option<String>,
}

/// The same with times.
pub(super) struct Chosen<'a> {
    select: &'a Select,
    since: i64,
    until: i64,
}

impl Select {
    pub(super) fn chosen(&self) -> anyhow::Result<Chosen<'_>> {
        let now = SystemClock::new().now().0;
        let time = |option: &str, text: &Option<String>, otherwise| match text {
            None => Ok(otherwise),
            Some(text) => {
                since(text, now).ok_or_else(|| wrong_use(format!("{option} {text}: {TIMES}")))
            }
        };
        let from = time("--since", &self.since, i64::MIN)?;
        let until = time("--until", &self.until, i64::MAX)?;
        Ok(Chosen { select: self, since: from, until })
    }
}

/// A principal as records have it, where users have no `user:` in front.
fn of_record(principal: &str) -> &str {
    principal.strip_prefix("user:").unwrap_or(principal)
}

impl Chosen<'_> {
    pub(super) fn takes(&self, record: &Record) -> bool {
        let Select { principal, outcome, kind, resource, .. } = self.select;
        let is = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted == found);
        (self.since..=self.until).contains(&record.time)
            && is(principal.as_deref().map(of_record), record.principal())
            && is(outcome.as_deref(), &record.unmapped.outcome)
            && is(kind.as_deref(), &record.unmapped.kind)
            && resource.as_ref().is_none_or(|part| record.resource().contains(part.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_named_as_policies_name_them_too() {
        for (given, found) in
            [("user:shop", "shop"), ("shop", "shop"), ("plugin:acl", "plugin:acl")]
        {
            assert_eq!(of_record(given), found);
        }
    }
}
