//! What must not leave the node is taken out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use blockhouse_plugin::Principal;

/// What stands for what was taken out.
const GONE: &str = "***";

/// What is taken out of each decision.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redact {
    /// Names of users.
    principals: bool,
    /// Bits of an IPv4 address that stay; the rest and the port are taken out.
    ipv4_prefix: Option<u8>,
    /// The same of an IPv6 address.
    ipv6_prefix: Option<u8>,
    /// Topics, groups, keys and targets whose name matches one of these; `*` stands for any text.
    resources: Vec<String>,
    /// The sentences that were given as reasons.
    reasons: bool,
}

impl Redact {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.ipv4_prefix.is_some_and(|bits| bits > 32) {
            return Err("redact.ipv4_prefix is 0 to 32 bits".to_owned());
        }
        if self.ipv6_prefix.is_some_and(|bits| bits > 128) {
            return Err("redact.ipv6_prefix is 0 to 128 bits".to_owned());
        }
        Ok(())
    }

    /// `anonymous` is nobody's name and stays.
    pub(crate) fn principal(&self, principal: &Principal) -> String {
        match principal.user() {
            None => "anonymous".to_owned(),
            Some(_) if self.principals => GONE.to_owned(),
            Some(name) => name.to_owned(),
        }
    }

    pub(crate) fn peer(&self, peer: SocketAddr) -> String {
        match (peer.ip(), self.ipv4_prefix, self.ipv6_prefix) {
            (IpAddr::V4(ip), Some(bits), _) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                format!("{}/{bits}", Ipv4Addr::from_bits(ip.to_bits() & mask))
            }
            (IpAddr::V6(ip), _, Some(bits)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                format!("{}/{bits}", Ipv6Addr::from_bits(ip.to_bits() & mask))
            }
            _ => peer.to_string(),
        }
    }

    /// A resource names several things, as `topic:orders,group:billing`: each for itself.
    pub(crate) fn resource(&self, resource: &str) -> String {
        let one = |part: &str| {
            let (what, name) = part.split_once(':').unwrap_or(("", part));
            let hidden =
                [part, name].iter().any(|text| self.resources.iter().any(|p| matches(p, text)));
            match (hidden, what) {
                (false, _) => part.to_owned(),
                (true, "") => GONE.to_owned(),
                (true, what) => format!("{what}:{GONE}"),
            }
        };
        resource.split(',').map(one).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn reason<'a>(&self, reason: &'a str) -> &'a str {
        if self.reasons && !reason.is_empty() { GONE } else { reason }
    }
}

/// Whether the whole text is as the pattern says. The pieces between stars are found in their order.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').map_or(("", rest), |(middle, tail)| (middle, tail));
    for piece in middle.split('*').filter(|piece| !piece.is_empty()) {
        let Some((_, after)) = left.split_once(piece) else { return false };
        left = after;
    }
    left.ends_with(tail)
}
