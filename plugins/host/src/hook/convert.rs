//! From the words of `plugins/hook` to those of the contract, and back with a check.

use std::net::{IpAddr, SocketAddr};

use blockhouse_hook::{Identity, Rejection, RouteEntry, Verdict};
use blockhouse_model::{Access, Action, Principal, RequestContext, Resource, TraceParent};

use crate::Failure;
use crate::contract::exported::{authenticate, authorize, route_query};
use crate::contract::imported::types;
use crate::guest::Wants;

/// Bytes of a reason that a client is told.
const REASON_MAX: usize = 512;
/// Bytes of a principal's name.
const PRINCIPAL_MAX: usize = 256;

pub(super) fn address(address: SocketAddr) -> types::Address {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let [high, low] = halves(ip.to_bits());
    types::Address { high, low, port: address.port() }
}

pub(super) fn principal(principal: &Principal) -> types::PrincipalParam<'_> {
    match principal {
        Principal::Anonymous => types::PrincipalParam::Anonymous,
        Principal::User(name) | Principal::Plugin(name) => types::PrincipalParam::User(name),
    }
}

pub(super) fn trace_parent(parent: TraceParent) -> types::TraceParent {
    let TraceParent { trace_id, span_id, sampled } = parent;
    let [trace_id_high, trace_id_low] = halves(trace_id);
    types::TraceParent { trace_id_high, trace_id_low, span_id, sampled }
}

fn halves(bits: u128) -> [u64; 2] {
    [bits >> 64, bits & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or(0))
}

/// The context of a call. `wants` says whether the client's id is in it.
pub(super) fn context(cx: &RequestContext, deadline_ms: u32, wants: Wants) -> types::Context<'_> {
    types::Context {
        code: cx.code,
        connection: cx.connection,
        peer: address(cx.peer),
        principal: principal(&cx.principal),
        secure: cx.secure,
        client_id: if wants.client_id { cx.client_id.as_deref() } else { None },
        trace_parent: cx.trace_parent.map(trace_parent),
        deadline_ms,
    }
}

/// The context of a call about one message: its own property says which span it belongs to, if the
/// request does not.
pub(super) fn of_message<'a>(
    cx: &'a RequestContext,
    deadline_ms: u32,
    wants: Wants,
    properties: Option<&str>,
) -> types::Context<'a> {
    let mut context = context(cx, deadline_ms, wants);
    if context.trace_parent.is_none() {
        context.trace_parent = properties.and_then(TraceParent::of_properties).map(trace_parent);
    }
    context
}

/// A refusal as the client is told: a sentence that is not too long, and no code that means success.
pub(super) fn rejection(rejection: &types::Rejection) -> Result<Rejection, Failure> {
    if rejection.code == Some(0) {
        return Err(Failure::Answer("a refusal has the code 0, which means success".to_owned()));
    }
    let mut reason: String =
        rejection.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    while reason.len() > REASON_MAX {
        reason.pop();
    }
    Ok(Rejection { code: rejection.code, ..Rejection::new(reason) })
}

pub(super) fn verdict(answer: wasmtime::Result<types::Verdict>) -> Result<Verdict, Failure> {
    match answer.map_err(|e| Failure::of(&e))? {
        types::Verdict::Continue => Ok(Verdict::Continue),
        types::Verdict::Reject(why) => Ok(Verdict::Reject(rejection(&why)?)),
    }
}

pub(super) fn identity(identity: authenticate::Identity) -> Result<Identity, Failure> {
    match identity {
        authenticate::Identity::Unknown => Ok(Identity::Unknown),
        authenticate::Identity::Refused(why) => Ok(Identity::Refused(rejection(&why)?)),
        authenticate::Identity::Known(types::PrincipalResult::Anonymous) => {
            Ok(Identity::Known(Principal::Anonymous))
        }
        authenticate::Identity::Known(types::PrincipalResult::User(name)) => {
            let legal =
                (1..=PRINCIPAL_MAX).contains(&name.len()) && !name.contains(char::is_control);
            if !legal {
                let rule = format!("a principal is 1 to {PRINCIPAL_MAX} bytes of printable text");
                return Err(Failure::Answer(rule));
            }
            Ok(Identity::Known(Principal::User(name.into())))
        }
    }
}

pub(super) const fn access<'a>(access: &Access<'a>) -> authorize::Access<'a> {
    authorize::Access {
        action: match access.action {
            Action::Pub => authorize::Action::Pub,
            Action::Sub => authorize::Action::Sub,
            Action::Create => authorize::Action::Create,
            Action::Update => authorize::Action::Update,
            Action::Delete => authorize::Action::Delete,
            Action::Get => authorize::Action::Get,
            Action::List => authorize::Action::List,
        },
        resource: match access.resource {
            // The contract has no word for these: what changes a node is the cluster's.
            Resource::Cluster | Resource::Policy | Resource::Plugin(_) | Resource::Audit => {
                authorize::Resource::Cluster
            }
            Resource::Topic(topic) => authorize::Resource::Topic(topic),
            Resource::Group(group) => authorize::Resource::Group(group),
        },
    }
}

pub(super) fn route_entry(entry: &RouteEntry) -> route_query::RouteEntry<'_> {
    route_query::RouteEntry {
        broker: &entry.broker,
        read_queues: entry.read_queues,
        write_queues: entry.write_queues,
    }
}

/// Indices below `count`, none twice.
pub(super) fn check_indices(indices: &[u32], count: usize) -> Result<(), Failure> {
    let mut seen = vec![false; count];
    for index in indices {
        match seen.get_mut(*index as usize) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(Failure::Answer(format!("index {index} is there twice"))),
            None => {
                return Err(Failure::Answer(format!("index {index} is not below {count}")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers() {
        let mapped = address("1.2.3.4:5".parse().unwrap());
        assert_eq!((mapped.high, mapped.low, mapped.port), (0, 0xffff_0102_0304, 5));
        let six = address("[2001:db8::1]:9".parse().unwrap());
        assert_eq!((six.high, six.low), (0x2001_0db8_0000_0000, 1));
    }

    #[test]
    fn a_refusal_cannot_look_like_success_or_break_a_line() {
        let of =
            |code, reason: &str| rejection(&types::Rejection { code, reason: reason.to_owned() });
        assert!(of(Some(0), "fine").is_err());
        assert_eq!(of(None, "a\nb").unwrap().reason, "a b");
        assert!(of(Some(13), &"é".repeat(5_000)).unwrap().reason.len() <= REASON_MAX);
    }

    #[test]
    fn indices_are_checked() {
        assert_eq!(check_indices(&[1, 0], 2), Ok(()));
        assert!(check_indices(&[1, 1], 2).is_err());
        assert!(check_indices(&[2], 2).is_err());
    }
}
