//! From what was decided to an OCSF event.

use std::net::IpAddr;

use blockhouse_hook::{AuditEvent, AuditKind, Outcome};
use blockhouse_model::{Principal, Timestamp};

use crate::json::Object;
use crate::note::hex;
use crate::tree::Hash;

/// Longest record, without its line end.
pub const RECORD_MAX: usize = 32 << 10;
/// Bytes of a principal's name; the event's other texts are cut by who made it.
const NAME_MAX: usize = 256;
/// The version of the schema.
const OCSF: &str = "1.6.0";

/// What becomes a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// What a hook decided.
    Event(AuditEvent),
    /// Equal events, but the first.
    Merged {
        /// The last of them.
        event: AuditEvent,
        /// How many.
        count: u64,
        /// When the first was.
        since: Timestamp,
    },
    /// What happened to the log itself.
    Own(Timestamp, Own),
}

/// What happens to the log itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// The process writes from now on.
    Started {
        /// Records that no checkpoint counted.
        unsigned: u64,
        /// Bytes of lines that were not whole.
        cut: u64,
    },
    /// The process stops.
    Stopped,
    /// Events became no records.
    Lost {
        /// How many.
        count: u64,
        /// When the first was.
        since: Timestamp,
        /// Why.
        why: String,
    },
    /// Old segments go.
    Removed {
        /// The first record that stays.
        below: u64,
    },
    /// The open file was taken away.
    Replaced {
        /// Which one.
        file: String,
    },
}

/// Where a record stands.
pub(crate) struct Place<'a> {
    /// The log's name.
    pub(crate) log: &'a str,
    /// The node's name.
    pub(crate) node: &'a str,
    /// The record's number.
    pub(crate) number: u64,
    /// The leaf before it.
    pub(crate) prev: &'a Hash,
}

/// The name of a kind, as in `unmapped.kind` and in metrics.
#[must_use]
pub const fn kind_name(kind: AuditKind) -> &'static str {
    match kind {
        AuditKind::Connection => "connection",
        AuditKind::Authentication => "authentication",
        AuditKind::Authorization => "authorization",
        AuditKind::Send => "send",
        AuditKind::Delivery => "delivery",
        AuditKind::AdminCommand => "admin_command",
        AuditKind::BrokerRegistration => "broker_registration",
        AuditKind::RouteQuery => "route_query",
        AuditKind::Plugin => "plugin",
    }
}

/// The name of an outcome, as in `unmapped.outcome`.
#[must_use]
pub const fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allowed => "allowed",
        Outcome::Refused => "refused",
        Outcome::Dropped => "dropped",
        Outcome::Rerouted => "rerouted",
        Outcome::Edited => "edited",
        Outcome::Failed => "failed",
    }
}

impl Entry {
    /// When it was.
    pub(crate) const fn time(&self) -> Timestamp {
        match self {
            Self::Event(event) | Self::Merged { event, .. } => event.time,
            Self::Own(time, _) => *time,
        }
    }

    /// What was announced and whose record was not durable in time has not been carried out. What was told after
    /// it was done stays as it was told.
    pub(crate) fn undo(&mut self) {
        if let Self::Event(event) = self
            && event.announced
            && event.outcome == Outcome::Allowed
        {
            event.outcome = Outcome::Failed;
            "the audit log could not be written".clone_into(&mut event.reason);
        }
    }

    /// Appends the record, without its line end.
    pub(crate) fn write(&self, place: &Place<'_>, out: &mut Vec<u8>) {
        let mut record = Object::begin(out);
        match self {
            Self::Event(event) => write_event(&mut record, place, event, None),
            Self::Merged { event, count, since } => {
                write_event(&mut record, place, event, Some((*count, *since)));
            }
            Self::Own(time, own) => own.write(&mut record, place, *time),
        }
        record.end();
    }
}

/// The numbers that say what kind of event it is.
struct Class {
    class: u32,
    activity: u32,
    severity: u32,
}

fn head(record: &mut Object<'_>, place: &Place<'_>, time: Timestamp, class: &Class) {
    let Class { class, activity, severity } = *class;
    record.number("time", time.0);
    record.number("category_uid", class / 1_000);
    record.number("class_uid", class);
    record.number("activity_id", activity);
    record.number("type_uid", class * 100 + activity);
    record.number("severity_id", severity);
    record.object("metadata", |metadata| {
        metadata.text("version", OCSF);
        metadata.object("product", product);
        metadata.raw("profiles", r#"["security_control"]"#);
        metadata.text("log_name", place.log);
        metadata.number("sequence", place.number);
        metadata.text("uid", &format!("{}/{}", place.log, place.number));
    });
    if !place.node.is_empty() {
        record.object("device", |device| {
            device.text("name", place.node);
            // A server.
            device.number("type_id", 1);
        });
    }
}

fn product(product: &mut Object<'_>) {
    product.text("name", "Blockhouse");
    product.text("vendor_name", "Blockhouse");
    product.text("version", env!("CARGO_PKG_VERSION"));
}

fn write_event(
    record: &mut Object<'_>,
    place: &Place<'_>,
    event: &AuditEvent,
    merged: Option<(u64, Timestamp)>,
) {
    head(record, place, event.time, &class(event));
    if let Some((count, since)) = merged {
        record.number("count", count);
        record.number("start_time", since.0);
        record.number("end_time", event.time.0);
    }
    record.text("activity_name", &event.action);
    outcome(record, event);
    record.some("status_detail", &event.reason);
    let has_peer = event.connection != 0 || !event.peer.ip().is_unspecified();
    if has_peer {
        record.object("src_endpoint", |peer| {
            peer.text("ip", &event.peer.ip().to_canonical().to_string());
            peer.number("port", event.peer.port());
        });
    }
    match event.kind {
        AuditKind::Connection => {}
        AuditKind::Plugin => {
            record.object("app", |app| {
                app.text("name", event.resource.strip_prefix("plugin:").unwrap_or(&event.resource));
            });
            // What the node did by itself has no actor.
            if has_peer {
                actor(record, &event.principal);
            }
        }
        AuditKind::Authentication => {
            record.object("user", |user| principal(user, &event.principal));
            record.object("service", |service| service.text("name", "Blockhouse"));
        }
        _ => {
            actor(record, &event.principal);
            record.object("api", |api| api.text("operation", &event.action));
        }
    }
    if !event.resource.is_empty() {
        record.list("resources", |resource| resource.text("name", &event.resource));
    }
    if !event.decided_by.is_empty() {
        record.object("policy", |policy| policy.text("name", &event.decided_by));
    }
    record.object("unmapped", |more| {
        more.text("kind", kind_name(event.kind));
        more.text("outcome", outcome_name(event.outcome));
        more.number("connection", event.connection);
        more.number("code", event.code);
        more.number("shadow", event.shadow);
        more.number("event", event.sequence);
        more.text("prev", &hex(&place.prev[..16]));
    });
}

fn actor(record: &mut Object<'_>, who: &Principal) {
    record.object("actor", |actor| actor.object("user", |user| principal(user, who)));
}

fn principal(user: &mut Object<'_>, principal: &Principal) {
    let (name, kind) = match principal {
        Principal::Anonymous => ("anonymous", 0),
        Principal::User(name) => (&**name, 1),
        Principal::Plugin(name) => (&**name, 4),
    };
    let cut = name.get(..name.floor_char_boundary(NAME_MAX)).unwrap_or_default();
    user.text("name", cut);
    user.number("type_id", kind);
}

/// Class, activity and severity.
fn class(event: &AuditEvent) -> Class {
    let is_refused = matches!(event.outcome, Outcome::Refused | Outcome::Failed);
    let severity = match event.outcome {
        Outcome::Refused => 2,
        Outcome::Failed => 3,
        _ => 1,
    };
    let (class, activity) = match event.kind {
        AuditKind::Connection => {
            (4_001, if is_refused { 5 } else { 1 + u32::from(event.action == "close") })
        }
        AuditKind::Authentication => (3_002, 1),
        AuditKind::Authorization => (6_003, of_access(&event.action)),
        AuditKind::AdminCommand => (6_003, of_command(&event.action)),
        AuditKind::Send
        | AuditKind::Delivery
        | AuditKind::RouteQuery
        | AuditKind::BrokerRegistration => (6_003, 99),
        AuditKind::Plugin => (6_002, of_plugin(&event.action)),
    };
    Class { class, activity, severity }
}

fn of_access(action: &str) -> u32 {
    match action {
        "Create" => 1,
        "Get" | "List" => 2,
        "Update" => 3,
        "Delete" => 4,
        _ => 99,
    }
}

fn of_command(name: &str) -> u32 {
    let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    if name.contains("DELETE") || begins(&["REMOVE", "CLEAN"]) {
        4
    } else if begins(&["UPDATE", "SET", "PUT", "RESET", "WIPE", "ADD", "AUTH_UPDATE"]) {
        3
    } else if name.contains("CREATE") {
        1
    } else if begins(&["GET", "QUERY", "LIST", "SEARCH", "VIEW", "EXPORT"]) {
        2
    } else {
        99
    }
}

fn of_plugin(action: &str) -> u32 {
    match action {
        "load" => 3,
        "rollback" | "automatic-rollback" => 5,
        "enable" => 6,
        "disable" => 7,
        "deploy" => 8,
        _ => 99,
    }
}

/// How it went: 1 and 2 are success and failure, and what security controls call it.
fn outcome(record: &mut Object<'_>, event: &AuditEvent) {
    let (status, action, disposition) = match event.outcome {
        Outcome::Allowed => (1, 1, 1),
        Outcome::Refused => (2, 2, 2),
        Outcome::Dropped => (1, 2, 6),
        Outcome::Rerouted | Outcome::Edited => (1, 4, 11),
        Outcome::Failed => (2, 2, 27),
    };
    // Nothing came of what a hook only watched.
    let (action, disposition) = if event.shadow { (3, 17) } else { (action, disposition) };
    record.number("status_id", status);
    record.number("action_id", action);
    record.number("disposition_id", disposition);
}

impl Own {
    fn write(&self, record: &mut Object<'_>, place: &Place<'_>, time: Timestamp) {
        let (activity, severity, name) = match self {
            Self::Started { cut: 0, .. } => (3, 1, "Audit log started"),
            Self::Started { .. } => (3, 3, "Audit log started"),
            Self::Stopped => (4, 1, "Audit log stopped"),
            Self::Lost { .. } => (99, 4, "Audit events lost"),
            Self::Removed { .. } => (99, 1, "Audit segments removed"),
            Self::Replaced { .. } => (99, 4, "Audit file replaced"),
        };
        head(record, place, time, &Class { class: 6_002, activity, severity });
        if let Self::Lost { count, since, .. } = self {
            record.number("count", count);
            record.number("start_time", since.0);
            record.number("end_time", time.0);
        }
        record.text("activity_name", name);
        record.number("status_id", 1 + u32::from(severity > 3));
        if let Self::Lost { why, .. } = self {
            record.text("status_detail", why);
        }
        record.object("app", product);
        record.object("unmapped", |more| {
            more.text("kind", "audit");
            more.text("outcome", if severity > 3 { "failed" } else { "allowed" });
            match self {
                Self::Started { unsigned, cut } => {
                    more.number("unsigned_records", unsigned);
                    more.number("bytes_cut", cut);
                }
                Self::Removed { below } => more.number("removed_below", below),
                Self::Replaced { file } => more.text("file", file),
                Self::Lost { .. } | Self::Stopped => {}
            }
            more.text("prev", &hex(&place.prev[..16]));
        });
    }
}

/// The address that refusals of one source have in common.
pub(crate) fn source(event: &AuditEvent) -> IpAddr {
    event.peer.ip().to_canonical()
}
