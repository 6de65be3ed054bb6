//! What the ops listener tells of the audit log.

use std::sync::Arc;

use blockhouse_audit::{AuditLog, RECENT_MAX, Record, Status};
use blockhouse_model::{Access, Action, Resource};
use blockhouse_ops::{Call, Handler, Reply, Row};
use hyper::StatusCode;
use hyper::http::Method;
use serde_json::{Value, json};

/// Records of an answer, if the caller does not say how many.
const LIMIT: usize = 100;
/// What may stand behind the `?`.
const PARAMETERS: [&str; 5] = ["limit", "kind", "outcome", "principal", "resource"];

/// All rows; without a log they say that there is none.
pub(in crate::process) fn rows(log: Option<&Arc<AuditLog>>) -> Vec<Row> {
    let row = |path, look: fn(&AuditLog, &Call) -> Reply| {
        let log = log.cloned();
        let handler = Handler::Look(Box::new(move |call| match &log {
            Some(log) => look(log, call),
            None => off(),
        }));
        let access = Access { action: Action::Get, resource: Resource::Audit };
        Row { path, method: Method::GET, access, handler }
    };
    vec![row("/v1/audit", status), row("/v1/audit/records", records)]
}

fn off() -> Reply {
    let text = "there is no audit log on this node (audit.enabled = false)";
    Reply::refusal(StatusCode::CONFLICT, "off", text)
}

fn status(log: &AuditLog, _: &Call) -> Reply {
    let Status { trouble, checkpoint, records, pending, lag, failures, .. } = log.status();
    Reply::ok(json!({
        "writable": trouble.is_none(),
        "trouble": trouble,
        "records": records,
        "last_sequence": records.checked_sub(1),
        "pending_events": pending,
        "lag_ms": u64::try_from(lag.as_millis()).unwrap_or(u64::MAX),
        "failures": failures,
        "public_key": log.public_key(),
        "checkpoint": checkpoint,
    }))
}

/// The last records that fit, the newest first.
fn records(log: &AuditLog, call: &Call) -> Reply {
    let names = call.query.split('&').filter(|pair| !pair.is_empty());
    let mut names = names.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    if let Some(name) = names.find(|name| !PARAMETERS.contains(name)) {
        return wrong(&format!("`{name}`: there are {}", PARAMETERS.join(", ")));
    }
    let limit = call.parameter("limit").map_or(Ok(LIMIT), str::parse);
    let Some(limit) = limit.ok().filter(|limit| (1..=RECENT_MAX).contains(limit)) else {
        return wrong(&format!("`limit` must be a number from 1 to {RECENT_MAX}"));
    };
    let mut found: Vec<Value> = Vec::new();
    log.recent(&mut |line| {
        if serde_json::from_slice(line).is_ok_and(|record| fits(call, &record)) {
            found.extend(serde_json::from_slice::<Value>(line).ok());
        }
        found.len() < limit
    });
    Reply::ok(json!({ "records": found }))
}

fn fits(call: &Call, record: &Record) -> bool {
    let is = |name, found: &str| call.parameter(name).is_none_or(|wanted| wanted == found);
    is("kind", &record.unmapped.kind)
        && is("outcome", &record.unmapped.outcome)
        && is("principal", record.principal())
        && call.parameter("resource").is_none_or(|part| record.resource().contains(part))
}

fn wrong(problem: &str) -> Reply {
    let text = format!("the request is not understood: {problem}");
    Reply::refusal(StatusCode::BAD_REQUEST, "request", &text)
}
