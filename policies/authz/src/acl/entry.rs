//! One entry: what can be meant, and the line of policy that says the same.

use std::net::IpAddr;

use blockhouse_hook::AclError;
use blockhouse_model::{AclEntry, Action};

use crate::condition::Condition;
use crate::parse::{LINE_LEN_MAX, check_name};
use crate::words::{Kind, parse_action};

pub(crate) const CUSTOM: &str = "Custom";
pub(super) const DEFAULT: &str = "Default";
pub(super) const ALLOW: &str = "Allow";
pub(super) const DENY: &str = "Deny";
const ALL: &str = "All";
/// What RocketMQ has entries of.
const KINDS: [Kind; 4] = [Kind::Cluster, Kind::Namespace, Kind::Topic, Kind::Group];

/// The user of `User:NAME`.
pub(super) fn user_of(subject: &str) -> Result<&str, AclError> {
    let wrong = || AclError::Invalid("the subject of an ACL is User:NAME".to_owned());
    let (word, name) = subject.split_once(':').ok_or_else(wrong)?;
    if !word.eq_ignore_ascii_case("User") {
        return Err(wrong());
    }
    plain("user", name).map_err(AclError::Invalid)?;
    Ok(name)
}

/// Whether it is of type `Default`.
pub(super) fn is_default(policy_type: &str) -> Result<bool, String> {
    match policy_type {
        "" => Ok(false),
        word if word.eq_ignore_ascii_case(CUSTOM) => Ok(false),
        word if word.eq_ignore_ascii_case(DEFAULT) => Ok(true),
        _ => Err("policyType must be Custom or Default".to_owned()),
    }
}

/// A resource as it is kept: two that are the same have the same text.
pub(super) fn resource(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let wrong = || "a resource is TYPE:NAME, TYPE:PREFIX*, TYPE:* or *".to_owned();
    let (word, name) = text.split_once(':').ok_or_else(wrong)?;
    let kind = Kind::parse(word)
        .filter(|kind| KINDS.contains(kind))
        .ok_or_else(|| "the type of a resource is Cluster, Namespace, Topic or Group".to_owned())?;
    if name != "*" {
        plain("resource", name.strip_suffix('*').unwrap_or(name))?;
    }
    Ok(format!("{}:{name}", kind.name()))
}

/// A name that can stand in a line of policy.
fn plain(what: &str, name: &str) -> Result<(), String> {
    check_name(what, name)?;
    match name.chars().find(|c| c.is_control() || [',', '"'].contains(c)) {
        Some(bad) => Err(format!("{bad:?} does not belong into a {what}")),
        None => Ok(()),
    }
}

/// An entry in the words that it is kept in.
pub(super) fn canonical(user: &str, entry: &AclEntry) -> Result<AclEntry, String> {
    let is = |word: &str| entry.decision.eq_ignore_ascii_case(word);
    let decision = [ALLOW, DENY].into_iter().find(|word| is(word));
    let decision = decision.ok_or("the decision must be Allow or Deny")?.to_owned();
    let mut actions: Vec<String> = Vec::new();
    for word in &entry.actions {
        let name = action(word)?;
        if !actions.iter().any(|seen| seen == name) {
            actions.push(name.to_owned());
        }
    }
    if actions.is_empty() {
        return Err("the actions are missing".to_owned());
    }
    let policy_type = if is_default(&entry.policy_type)? { DEFAULT } else { CUSTOM };
    let resource = resource(&entry.resource)?;
    Condition::parse(&condition(&entry.source_ips)?)?;
    let source_ips = entry.source_ips.clone();
    let policy_type = policy_type.to_owned();
    let entry = AclEntry { policy_type, resource, actions, source_ips, decision };
    if rendered(user, &entry, &entry.resource)?.len() > LINE_LEN_MAX {
        return Err(format!("an entry is longer than {LINE_LEN_MAX} bytes"));
    }
    Ok(entry)
}

fn action(word: &str) -> Result<&'static str, String> {
    if word.eq_ignore_ascii_case(ALL) {
        return Ok(ALL);
    }
    let known = "there are Pub, Sub, Create, Update, Delete, Get, List, All";
    parse_action(word).map(Action::name).ok_or_else(|| format!("unknown action; {known}"))
}

/// The condition of a rule for these addresses.
fn condition(ips: &[String]) -> Result<String, String> {
    if ips.is_empty() {
        return Ok("-".to_owned());
    }
    let networks: Vec<String> = ips.iter().map(|text| network(text)).collect::<Result<_, _>>()?;
    Ok(format!("ip={}", networks.join("|")))
}

/// RocketMQ takes bits beyond the mask; policies do not.
fn network(text: &str) -> Result<String, String> {
    let wrong = || "a source IP must be an address or a network".to_owned();
    let (address, len) = match text.split_once('/') {
        Some((address, len)) => (address, Some(len)),
        None => (text, None),
    };
    let ip = address.parse::<IpAddr>().map_err(|_| wrong())?;
    let Some(len) = len else { return Ok(ip.to_canonical().to_string()) };
    let len: u32 = len.parse().map_err(|_| wrong())?;
    let first = match ip {
        IpAddr::V4(v4) if len <= 32 => IpAddr::from(
            (u32::from(v4) & u32::MAX.checked_shl(32 - len).unwrap_or(0)).to_be_bytes(),
        ),
        IpAddr::V6(v6) if len <= 128 => IpAddr::from(
            (u128::from(v6) & u128::MAX.checked_shl(128 - len).unwrap_or(0)).to_be_bytes(),
        ),
        _ => return Err(wrong()),
    };
    Ok(format!("{first}/{len}"))
}

/// The line of policy; `None` for an entry of another cluster.
pub(super) fn line(user: &str, entry: &AclEntry, cluster: &str) -> Option<String> {
    rendered(user, entry, policy_resource(&entry.resource, cluster)?).ok()
}

/// What policies call the resource: a node is of one cluster only, and a namespace is nothing that an ACL decides on,
/// in RocketMQ as here: what was put in without effect is not to get one by itself.
pub(super) fn policy_resource<'a>(resource: &'a str, cluster: &str) -> Option<&'a str> {
    if resource.starts_with("Namespace:") {
        return None;
    }
    let Some(pattern) = resource.strip_prefix("Cluster:") else { return Some(resource) };
    let is_ours = match pattern.strip_suffix('*') {
        Some(prefix) => cluster.starts_with(prefix),
        None => cluster == pattern,
    };
    is_ours.then_some("Cluster:*")
}

pub(super) fn rendered(user: &str, entry: &AclEntry, resource: &str) -> Result<String, String> {
    let (actions, condition) = (entry.actions.join("|"), condition(&entry.source_ips)?);
    let actions = if entry.actions.iter().any(|action| action == ALL) { ALL } else { &actions };
    let effect = if entry.decision == DENY { "deny" } else { "allow" };
    Ok(format!("p, user:{user}, *, {resource}, {actions}, {condition}, {effect}"))
}
