//! Comfort on the contract's shared records.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::bindings::lifecycle::Bodies;
use crate::{Address, Principal, Rejection, Verdict, Wants};

impl Rejection {
    /// A refusal with the protocol's own code (16, no permission).
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { code: None, reason: reason.into() }
    }

    /// A refusal with a response code of RocketMQ's.
    #[must_use]
    pub fn with_code(code: i32, reason: impl Into<String>) -> Self {
        Self { code: Some(code), reason: reason.into() }
    }
}

impl Verdict {
    /// Refuses with the protocol's own code.
    #[must_use]
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(Rejection::new(reason))
    }
}

impl From<Result<(), Rejection>> for Verdict {
    /// Lets a hook use `?` inside and answer with a value: a refusal must never be a trap.
    fn from(result: Result<(), Rejection>) -> Self {
        match result {
            Ok(()) => Self::Continue,
            Err(rejection) => Self::Reject(rejection),
        }
    }
}

impl Principal {
    /// The user's name; `None` for who proved nothing.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::User(name) => Some(name),
            Self::Anonymous => None,
        }
    }
}

impl Display for Principal {
    /// `anonymous`, or `user:` and the name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

impl Address {
    /// The address without its port. A mapped IPv4 address is given as IPv4.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        let bits = u128::from(self.high) << 64 | u128::from(self.low);
        Ipv6Addr::from_bits(bits).to_canonical()
    }

    /// The address and its port.
    #[must_use]
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let bits = match address.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let [high, low] = [bits >> 64, bits].map(|half| {
            let [.., a, b, c, d, e, f, g, h] = half.to_be_bytes();
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        });
        Self { high, low, port: address.port() }
    }
}

impl Default for Wants {
    fn default() -> Self {
        Self {
            before_send_bodies: Bodies::None,
            before_deliver_bodies: Bodies::None,
            enrich_span_bodies: false,
            batch_max: 0,
            client_id: false,
            keeps_state: false,
        }
    }
}
