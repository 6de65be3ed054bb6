//! Ranges of internet addresses.

use std::net::{IpAddr, Ipv4Addr};

/// A range: `10.0.0.0/8`, `2001:db8::/32`, or one address. IPv4 addresses stand for their mapped
/// IPv6 ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Range {
    bits: u128,
    mask: u128,
}

impl Range {
    pub(crate) fn has(self, ip: IpAddr) -> bool {
        bits(ip) & self.mask == self.bits
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl TryFrom<String> for Range {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (address, length) = text.split_once('/').unwrap_or((&text, ""));
        let ip: IpAddr = address.parse().map_err(|_| format!("{text}: no internet address"))?;
        let whole = if ip.is_ipv4() { Ipv4Addr::BITS } else { u128::BITS };
        let length = if length.is_empty() && !text.contains('/') {
            whole
        } else {
            let length = length.parse().ok().filter(|length| *length <= whole);
            length.ok_or_else(|| format!("{text}: the prefix has 0 to {whole} bits"))?
        };
        let free = whole - length;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        let bits = bits(ip);
        if bits & mask != bits {
            return Err(format!("{text}: bits are set behind the prefix"));
        }
        Ok(Self { bits, mask })
    }
}
