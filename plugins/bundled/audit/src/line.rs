//! A decision as one line of JSON.

use blockhouse_plugin::{Event, Kind, Outcome};
use serde::Serialize;

use crate::redact::Redact;

/// The outcomes by their names in the contract.
pub(crate) const OUTCOMES: [&str; 6] =
    ["allowed", "refused", "dropped", "rerouted", "edited", "failed"];

pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allowed => "allowed",
        Outcome::Refused => "refused",
        Outcome::Dropped => "dropped",
        Outcome::Rerouted => "rerouted",
        Outcome::Edited => "edited",
        Outcome::Failed => "failed",
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Connection => "connection",
        Kind::Authentication => "authentication",
        Kind::Authorization => "authorization",
        Kind::Send => "send",
        Kind::Delivery => "delivery",
        Kind::AdminCommand => "admin-command",
        Kind::BrokerRegistration => "broker-registration",
        Kind::RouteQuery => "route-query",
        Kind::Plugin => "plugin",
    }
}

/// What stands in a line, in this order. The node and its sequence tell two lines of one decision
/// from two decisions.
#[derive(Serialize)]
struct Line<'a> {
    node: &'a str,
    sequence: u64,
    time_ms: u64,
    kind: &'static str,
    outcome: &'static str,
    principal: String,
    peer: String,
    connection: u64,
    code: i32,
    action: &'a str,
    resource: String,
    decided_by: &'a str,
    shadow: bool,
    reason: &'a str,
}

/// The line of a decision, redacted.
pub(crate) fn of(event: &Event, node: &str, redact: &Redact) -> String {
    let line = Line {
        node,
        sequence: event.sequence,
        time_ms: event.time_ms,
        kind: kind(event.kind),
        outcome: outcome(event.outcome),
        principal: redact.principal(&event.principal),
        peer: redact.peer(event.peer.socket()),
        connection: event.connection,
        code: event.code,
        action: &event.action,
        resource: redact.resource(&event.resource),
        decided_by: &event.decided_by,
        shadow: event.shadow,
        reason: redact.reason(&event.reason),
    };
    serde_json::to_string(&line).unwrap_or_default()
}
