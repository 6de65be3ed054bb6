//! The options of listeners and connections.

use std::time::Duration;

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// A connection on which nothing was received or sent for this long is closed, in
    /// milliseconds. RocketMQ: `serverChannelMaxIdleTimeSeconds`.
    #[schemars(range(min = 1))]
    pub idle_ms: u64,
    /// Unsent bytes a connection may have. Beyond it no more requests are read from it and no
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
    /// ones are answered `SYSTEM_BUSY`.
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
            ("outbox_bytes", self.outbox_bytes),
            ("in_flight_bytes", self.in_flight_bytes),
            ("deferred_max", self.deferred_max),
            ("calls_max", self.calls_max),
        ] {
            OptionError::check_least(option, &value, &1)?;
        }
        OptionError::check_least("idle_ms", &self.idle_ms, &1)?;
        OptionError::check_least("stall_ms", &self.stall_ms, &1)
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
        let set: [Case; 8] = [
            ("frame_len_max", |l| l.frame_len_max = 0),
            ("connections_max", |l| l.connections_max = 0),
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
