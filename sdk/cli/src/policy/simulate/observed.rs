//! What was decided once: from records of an audit log, and from recorded messages.

use std::net::{IpAddr, Ipv4Addr};

use blockhouse_audit::Record;
use blockhouse_authz::{Message, MessageType};
use blockhouse_model::Timestamp;

use crate::printed::Printed;

/// One decision of policies, or several equal ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    /// As policies call him.
    pub(super) principal: String,
    /// Joined by commas, as in the record.
    pub(super) actions: String,
    /// `TYPE:NAME`, joined by commas.
    pub(super) resources: String,
    pub(super) ip: IpAddr,
    pub(super) time: Timestamp,
    pub(super) message: Option<Sent>,
    pub(super) allowed: bool,
    pub(super) count: u64,
}

/// A message that was to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    mtype: MessageType,
    size: u64,
    tag: String,
}

impl Sent {
    pub(super) fn message(&self) -> Message<'_> {
        Message { mtype: self.mtype, size: self.size, tag: &self.tag }
    }
}

/// What a record is to a simulation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Decision(Observed),
    /// It follows from a decision that it does not say enough of.
    Unclear,
    /// Policies were not asked.
    Nothing,
}

/// The hook that policies are.
const POLICIES: &str = "authz";

/// What a record says of a decision of policies. They stand before all plugins: what a plugin refused, changed or
/// dropped, the policies had allowed.
pub(super) fn of_record(record: &Record) -> Told {
    let denied = record.decided_by() == POLICIES;
    if record.unmapped.kind == "authorization" && record.activity_name == "unknown" {
        // There is no such request, whatever policies say.
        return Told::Nothing;
    }
    let actions = match record.unmapped.kind.as_str() {
        "authorization" | "send" | "delivery" => record.activity_name.as_str(),
        "route_query" => "Get",
        "broker_registration" => "Update",
        // What an admin command needs is not in its record.
        "admin_command" => return Told::Unclear,
        _ => return Told::Nothing,
    };
    let resources = match record.unmapped.kind.as_str() {
        "broker_registration" => "cluster",
        _ => record.resource(),
    };
    let Some(principal) = principal(record) else { return Told::Unclear };
    let message = match record.unmapped.kind.as_str() {
        "send" if denied => match sent(&record.status_detail) {
            None => return Told::Unclear,
            sent => sent,
        },
        _ => None,
    };
    let ip = record.src_endpoint.as_ref().and_then(|peer| peer.ip.parse().ok());
    Told::Decision(Observed {
        principal,
        actions: actions.to_owned(),
        resources: resources.to_owned(),
        ip: ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        time: Timestamp(record.time),
        message,
        allowed: !denied,
        count: record.count.unwrap_or(1),
    })
}

fn principal(record: &Record) -> Option<String> {
    let user = &record.actor.as_ref()?.user;
    match user.type_id {
        0 => Some("anonymous".to_owned()),
        1 => Some(format!("user:{}", user.name)),
        4 => Some(user.name.clone()),
        _ => None,
    }
}

/// The end of what the policies say of a message that they refuse: `...: normal, 4 bytes, tag "x"`.
fn sent(detail: &str) -> Option<Sent> {
    let (rest, tag) = detail.rsplit_once(", tag \"")?;
    let (rest, size) = rest.strip_suffix(" bytes")?.rsplit_once(", ")?;
    let (_, mtype) = rest.rsplit_once(": ")?;
    Some(Sent {
        mtype: MessageType::parse(mtype)?,
        size: size.parse().ok()?,
        tag: serde_json::from_str(&format!("\"{tag}")).ok()?,
    })
}

/// A recorded message, which somebody was allowed to send: `principal`, unless the line says who.
pub(super) fn of_message(line: &[u8], principal: &str, now: Timestamp) -> Option<Observed> {
    let line: Printed = serde_json::from_slice(line).ok()?;
    let (properties, size) = (line.properties(), line.body().ok()?.len());
    let Message { mtype, tag, .. } = Message::of(&properties, &[]);
    Some(Observed {
        principal: line.principal.unwrap_or_else(|| principal.to_owned()),
        actions: "Pub".to_owned(),
        resources: format!("topic:{}", line.topic),
        ip: line.born_host.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |host| host.ip()),
        time: line.born_timestamp.map_or(now, Timestamp),
        message: Some(Sent { mtype, size: size as u64, tag: tag.to_owned() }),
        allowed: true,
        count: 1,
    })
}
