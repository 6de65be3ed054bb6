//! The options of listeners and connections.

use std::net::IpAddr;
use std::time::Duration;

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::proxy;

/// Bounds on what clients may take from this process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Longest frame, in bytes; a longer one closes its connection.
    /// RocketMQ: `com.rocketmq.remoting.frameMaxLength`.
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub frame_len_max: usize,
    /// Most connections at a time; further ones are closed at once.
    #[schemars(range(min = 1))]
    pub connections_max: usize,
    /// Most connections from one address at a time; further ones are closed at once.
    #[schemars(range(min = 1))]
    pub connections_per_address_max: usize,
    /// Most connections of which no request was let in yet: those that say nothing, shake hands,
    /// are in the middle of their first request, or have no good credentials where credentials
    /// are asked for. Beyond it the oldest of them is closed.
    #[schemars(range(min = 1))]
    pub unproven_max: usize,
    /// Most of these from one address; beyond it the oldest of that address is closed.
    #[schemars(range(min = 1))]
    pub unproven_per_address_max: usize,
    /// Bytes that the connections of `unproven_max` hold together, 4 KiB of each not counted; one
    /// that wants more is closed.
    pub unproven_bytes: usize,
    /// A connection is closed that has sent no complete request after so many milliseconds.
    #[schemars(range(min = 1))]
    pub first_request_ms: u64,
    /// A connection is closed of which no request was let in after so many milliseconds.
    #[schemars(range(min = 1))]
    pub login_ms: u64,
    /// Whether connections from `proxy_networks` begin with a header of the PROXY protocol (version
    /// 1 or 2) that says who the client is: `off` or `required`.
    pub proxy_protocol: proxy::Protocol,
    /// The balancers: `10.0.0.0/8`, or single addresses. A header from elsewhere is a bad frame.
    #[schemars(with = "Vec<String>")]
    pub proxy_networks: Vec<proxy::Network>,
    /// A connection on which nothing was received or sent for this long is closed, in
    /// milliseconds. RocketMQ: `serverChannelMaxIdleTimeSeconds`.
    #[schemars(range(min = 1))]
    pub idle_ms: u64,
    /// Unsent bytes a connection may have. Beyond it no more of its requests are carried out or read, and no
    /// notices are queued for it.
    #[schemars(range(min = 1))]
    pub outbox_bytes: usize,
    /// A connection that took none of its unsent bytes for this long is closed, in milliseconds.
    #[schemars(range(min = 1))]
    pub stall_ms: u64,
    /// Bytes of unanswered requests and unsent replies of all connections together. Beyond it
    /// requests wait.
    #[schemars(range(min = 1))]
    pub in_flight_bytes: usize,
    /// How long a request waits for `in_flight_bytes` before the answer is `SYSTEM_BUSY`, in
    /// milliseconds. RocketMQ: `waitTimeMillsInSendQueue`.
    pub busy_wait_ms: u64,
    /// Requests of one connection that may wait for their answer (held pulls, flushes); further
    /// ones are answered `SYSTEM_BUSY`. One-way requests are not: no more is read while twice as many wait.
    #[schemars(range(min = 1))]
    pub deferred_max: usize,
    /// Calls to the other side of one connection that may wait for their answer.
    #[schemars(range(min = 1))]
    pub calls_max: usize,
    /// At shutdown, how long connections have for the answers they still owe, in milliseconds.
    pub drain_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_len_max: 16 * 1024 * 1024,
            connections_max: 65_536,
            connections_per_address_max: 32_768,
            unproven_max: 8_192,
            unproven_per_address_max: 4_096,
            unproven_bytes: 16 * 1024 * 1024,
            first_request_ms: 30_000,
            login_ms: 60_000,
            proxy_protocol: proxy::Protocol::Off,
            proxy_networks: Vec::new(),
            idle_ms: 120_000,
            outbox_bytes: 4 * 1024 * 1024,
            stall_ms: 60_000,
            in_flight_bytes: 64 * 1024 * 1024,
            busy_wait_ms: 200,
            deferred_max: 4_096,
            calls_max: 16_384,
            drain_ms: 1_500,
        }
    }
}

impl Limits {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option with which nobody could be served.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_range("frame_len_max", &self.frame_len_max, &(64 << 10..=1 << 30))?;
        for (option, value) in [
            ("connections_max", self.connections_max),
            ("connections_per_address_max", self.connections_per_address_max),
            ("unproven_max", self.unproven_max),
            ("unproven_per_address_max", self.unproven_per_address_max),
            ("outbox_bytes", self.outbox_bytes),
            ("in_flight_bytes", self.in_flight_bytes),
            ("deferred_max", self.deferred_max),
            ("calls_max", self.calls_max),
        ] {
            OptionError::check_least(option, &value, &1)?;
        }
        for (option, value) in [
            ("first_request_ms", self.first_request_ms),
            ("login_ms", self.login_ms),
            ("idle_ms", self.idle_ms),
            ("stall_ms", self.stall_ms),
        ] {
            OptionError::check_least(option, &value, &1)?;
        }
        if self.proxy_protocol == proxy::Protocol::Required && self.proxy_networks.is_empty() {
            let rule = "must have a network, unless proxy_protocol = off";
            return Err(OptionError::new("proxy_networks", rule));
        }
        Ok(())
    }

    /// Whether a connection from `peer` begins with a header that says who the client is.
    pub(crate) fn is_proxied(&self, peer: IpAddr) -> bool {
        self.proxy_protocol == proxy::Protocol::Required
            && self.proxy_networks.iter().any(|network| network.contains(peer))
    }

    pub(crate) fn busy_wait(&self) -> Duration {
        Duration::from_millis(self.busy_wait_ms)
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// How often a connection looks whether it is silent or stuck.
    pub(crate) fn pulse(&self) -> Duration {
        Duration::from_millis((self.idle_ms.min(self.stall_ms) / 4).max(1))
    }

    /// Whether `pulses` without a byte are too many for a connection that owes nothing.
    pub(crate) fn silent_too_long(&self, pulses: u32) -> bool {
        self.pulse() * pulses >= Duration::from_millis(self.idle_ms.max(1))
    }

    /// Whether `pulses` without progress are too many for a connection with unsent bytes.
    pub(crate) fn stuck_too_long(&self, pulses: u32) -> bool {
        self.pulse() * pulses >= Duration::from_millis(self.stall_ms.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option that is to be refused, and what makes it wrong.
    type Case = (&'static str, fn(&mut Limits));

    #[test]
    fn limits_that_let_nobody_in_are_refused() {
        assert_eq!(Limits::default().validate(), Ok(()));
        let set: [Case; 14] = [
            ("frame_len_max", |l| l.frame_len_max = 0),
            ("connections_max", |l| l.connections_max = 0),
            ("connections_per_address_max", |l| l.connections_per_address_max = 0),
            ("unproven_max", |l| l.unproven_max = 0),
            ("unproven_per_address_max", |l| l.unproven_per_address_max = 0),
            ("first_request_ms", |l| l.first_request_ms = 0),
            ("login_ms", |l| l.login_ms = 0),
            ("proxy_networks", |l| l.proxy_protocol = proxy::Protocol::Required),
            ("outbox_bytes", |l| l.outbox_bytes = 0),
            ("in_flight_bytes", |l| l.in_flight_bytes = 0),
            ("deferred_max", |l| l.deferred_max = 0),
            ("calls_max", |l| l.calls_max = 0),
            ("idle_ms", |l| l.idle_ms = 0),
            ("stall_ms", |l| l.stall_ms = 0),
        ];
        for (option, set) in set {
            let mut limits = Limits::default();
            set(&mut limits);
            assert_eq!(limits.validate().unwrap_err().option, option);
        }
    }
}
