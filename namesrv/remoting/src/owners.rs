//! Whose each broker name is: a broker reports itself, and nobody else.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use blockhouse_hook::{HookChain, Point, Rejection};
use blockhouse_model::{Principal, RequestContext};
use blockhouse_route::Routes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which names a broker may report under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// A name is that of the first who reports under it, until it leaves or is taken out.
    #[default]
    Own,
    /// Whoever may report may report everything.
    Any,
}

/// Which addresses a broker may report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Addresses {
    /// The one that it connects from. From the name server's own host, every address.
    #[default]
    Source,
    /// Every address: for brokers behind a translation of addresses, or with several networks.
    Any,
}

/// What brokers may report, where clients are asked who they are or what they may (sections `authn`, `authz`).
/// Cannot be changed over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// Under which names: `own`, that of the first who reports under it, until it leaves or is taken out; `any`.
    pub names: Names,
    /// With which addresses: `source`, the one that it connects from (from this host, every one); `any`.
    pub addresses: Addresses,
}

/// Who reports: the user, or the host of a broker that is no user.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Known(Principal),
    Host(IpAddr),
}

impl Owner {
    fn of(cx: &RequestContext) -> Self {
        match &cx.principal {
            Principal::Anonymous => Self::Host(cx.peer.ip().to_canonical()),
            known => Self::Known(known.clone()),
        }
    }
}

/// The owners of broker names.
pub(crate) struct Owners {
    registration: Registration,
    /// Of each name that was reported while it was asked who reports; of those that are in the route table.
    by_name: HashMap<Arc<str>, Owner>,
}

const OTHERS: &str =
    "this broker name or address is another's, until that broker leaves or is taken out";
const ELSEWHERE: &str = "a broker reports the address that it connects from; where that cannot be, set \
                         namesrv.registration.addresses = \"any\" on the name server";

impl Owners {
    pub(crate) fn new(registration: Registration) -> Self {
        Self { registration, by_name: HashMap::new() }
    }

    /// Whether anything is asked of whoever speaks for a broker. What else stands at [`Point::Authorize`], a plugin or
    /// an audit log that refuses, asks nobody who he is.
    fn asks(hooks: &HookChain) -> bool {
        hooks.has(Point::Authenticate) || hooks.decides_who_may()
    }

    /// Judges a report of `broker` at `addr`.
    pub(crate) fn judge_report(
        &self,
        (hooks, cx): (&HookChain, &RequestContext),
        routes: &Routes,
        (cluster, broker, addr): (&str, &str, &str),
    ) -> Result<(), Rejection> {
        if !Self::asks(hooks) {
            return Ok(());
        }
        if self.registration.addresses == Addresses::Source && !is_of(addr, cx.peer) {
            return Err(Rejection::new(ELSEWHERE));
        }
        // A report takes its address away from the name that had it.
        self.judge((hooks, cx), routes, broker)?;
        self.judge_address((hooks, cx), routes, (cluster, addr))
    }

    /// Judges what is said of a broker by its name.
    pub(crate) fn judge(
        &self,
        (hooks, cx): (&HookChain, &RequestContext),
        routes: &Routes,
        broker: &str,
    ) -> Result<(), Rejection> {
        let is_free = self.registration.names == Names::Any
            || !Self::asks(hooks)
            || !routes.brokers().contains_key(broker);
        let owner = self.by_name.get(broker);
        if is_free || owner.is_none_or(|owner| *owner == Owner::of(cx)) {
            return Ok(());
        }
        Err(Rejection::new(OTHERS))
    }

    /// Judges what is said of whichever broker of a cluster is at `addr`.
    pub(crate) fn judge_address(
        &self,
        asked: (&HookChain, &RequestContext),
        routes: &Routes,
        (cluster, addr): (&str, &str),
    ) -> Result<(), Rejection> {
        let there = |broker: &blockhouse_route::Broker| {
            *broker.cluster == *cluster && broker.at(addr).is_some()
        };
        let mut names = routes.brokers().iter().filter(|(_, broker)| there(broker));
        names.try_for_each(|(name, _)| self.judge(asked, routes, name))
    }

    /// A report was taken.
    pub(crate) fn reported(
        &mut self,
        (hooks, cx): (&HookChain, &RequestContext),
        routes: &Routes,
        broker: &str,
    ) {
        if self.registration.names == Names::Any || !Self::asks(hooks) {
            return;
        }
        let owner = Owner::of(cx);
        if self.by_name.get(broker) == Some(&owner) {
            return;
        }
        self.by_name.retain(|name, _| routes.brokers().contains_key(name));
        if let Some((name, _)) = routes.brokers().get_key_value(broker) {
            self.by_name.insert(Arc::clone(name), owner);
        }
    }
}

/// Whether `addr` (host and port) is on the host that `peer` is.
fn is_of(addr: &str, peer: SocketAddr) -> bool {
    let peer = peer.ip().to_canonical();
    let addr = addr.parse::<SocketAddr>().map(|addr| addr.ip().to_canonical());
    peer.is_loopback() || addr.is_ok_and(|ip| ip == peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_the_connection() {
        let is_of = |addr, peer: &str| is_of(addr, peer.parse().unwrap());
        assert!(is_of("10.0.0.5:10911", "10.0.0.5:40000"));
        assert!(is_of("10.0.0.5:10911", "[::ffff:10.0.0.5]:40000"));
        assert!(is_of("[2001:db8::5]:10911", "[2001:db8::5]:1"));
        for addr in ["10.0.0.6:10911", "10.0.0.5", "broker-a:10911", ""] {
            assert!(!is_of(addr, "10.0.0.5:40000"), "{addr}");
            assert!(is_of(addr, "127.0.0.1:40000"), "{addr}");
        }
    }
}
