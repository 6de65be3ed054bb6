//! What a plugin may ask of the host: one module per grant. In native builds the double of
//! [`crate::test`] answers.

#[cfg(target_family = "wasm")]
use crate::bindings::imports::blockhouse::plugin as host;
#[cfg(not(target_family = "wasm"))]
use crate::double as host;

/// Grant `log`: lines in the node's log, marked with the plugin's name.
pub mod log {
    use super::host;
    use crate::bindings::imports::blockhouse::plugin::log::Field;
    pub use crate::bindings::imports::blockhouse::plugin::log::Level;

    /// Whether lines of this level are kept. Ask before a costly line is put together.
    #[must_use]
    pub fn enabled(level: Level) -> bool {
        host::log::enabled(level)
    }

    /// Writes a line with names and values beside it.
    pub fn write(level: Level, line: &str, fields: &[(&str, &str)]) {
        let own = |(name, value): &(&str, &str)| Field {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        let fields: Vec<_> = fields.iter().map(own).collect();
        host::log::write(level, line, &fields);
    }

    /// Writes a line for those who look for a fault.
    pub fn debug(line: &str) {
        write(Level::Debug, line, &[]);
    }

    /// Writes a line that an operator may want to know.
    pub fn info(line: &str) {
        write(Level::Info, line, &[]);
    }

    /// Writes a line about something that is not as it should be.
    pub fn warn(line: &str) {
        write(Level::Warn, line, &[]);
    }

    /// Writes a line about something that failed.
    pub fn error(line: &str) {
        write(Level::Error, line, &[]);
    }
}

/// Grant `metrics`: the plugin's own metrics on the node's metrics page. Register in `init`.
pub mod metrics {
    use super::host;
    use crate::bindings::imports::blockhouse::plugin::metrics::Kind;

    /// A number that only goes up.
    #[derive(Clone, Copy, Debug)]
    pub struct Counter(u32);

    impl Counter {
        /// Makes the counter, or finds the one of that name.
        ///
        /// # Errors
        /// Which rule or limit was met.
        pub fn register(name: &str, help: &str) -> Result<Self, String> {
            host::metrics::register(name, Kind::Counter, help).map(Self)
        }

        /// Adds to it.
        pub fn add(self, amount: u64) {
            host::metrics::add(self.0, amount);
        }
    }

    /// A number that goes up and down.
    #[derive(Clone, Copy, Debug)]
    pub struct Gauge(u32);

    impl Gauge {
        /// Makes the gauge, or finds the one of that name.
        ///
        /// # Errors
        /// Which rule or limit was met.
        pub fn register(name: &str, help: &str) -> Result<Self, String> {
            host::metrics::register(name, Kind::Gauge, help).map(Self)
        }

        /// Sets it.
        pub fn set(self, value: f64) {
            host::metrics::set(self.0, value);
        }
    }

    /// Values counted by size.
    #[derive(Clone, Copy, Debug)]
    pub struct Histogram(u32);

    impl Histogram {
        /// Makes the histogram, or finds the one of that name.
        ///
        /// # Errors
        /// Which rule or limit was met.
        pub fn register(name: &str, help: &str) -> Result<Self, String> {
            host::metrics::register(name, Kind::Histogram, help).map(Self)
        }

        /// Adds a value.
        pub fn observe(self, value: f64) {
            host::metrics::observe(self.0, value);
        }
    }
}

/// Grant `clock`: the node's clocks. In tests and replays they show recorded time.
pub mod clock {
    use super::host;

    /// Milliseconds since 1970-01-01 UTC. It may jump.
    #[must_use]
    pub fn now_ms() -> u64 {
        host::clock::now_ms()
    }

    /// Nanoseconds since some moment of this process. It never goes back.
    #[must_use]
    pub fn monotonic_ns() -> u64 {
        host::clock::monotonic_ns()
    }
}

/// Grant `kv`: a small store in the node's memory that all instances of the plugin share.
pub mod kv {
    use super::host;
    pub use crate::bindings::imports::blockhouse::plugin::kv::Refusal;

    /// The value of a key.
    #[must_use]
    pub fn get(key: &str) -> Option<Vec<u8>> {
        host::kv::get(key)
    }

    /// Sets a key for so many milliseconds; 0 keeps it until it is deleted.
    ///
    /// # Errors
    /// No room, or too long.
    pub fn set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), Refusal> {
        host::kv::set(key, value, ttl_ms)
    }

    /// Adds to a number and gives the sum, in one step. A key that is not there starts at 0 and
    /// lives for `ttl_ms` milliseconds; later calls do not prolong it.
    ///
    /// # Errors
    /// No room, too long, or not a number.
    pub fn add(key: &str, amount: i64, ttl_ms: u64) -> Result<i64, Refusal> {
        host::kv::add(key, amount, ttl_ms)
    }

    /// Takes a key out.
    pub fn delete(key: &str) {
        host::kv::delete(key);
    }
}

/// Grant `http`: requests to the addresses that the operator lists. Off the data path only.
pub mod http {
    use super::host;
    pub use crate::bindings::imports::blockhouse::plugin::http::{
        Failure, Header, Request, Response,
    };

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// Why there is no answer. A status of 500 is an answer.
    pub fn send(request: &Request) -> Result<Response, Failure> {
        host::http::send(request)
    }
}

/// Grant `publish`: messages into the topics that the operator lists. Off the data path only.
pub mod publish {
    use super::host;
    pub use crate::bindings::imports::blockhouse::plugin::publish::{Failure, Property};

    /// Stores a message and waits until it is stored.
    ///
    /// # Errors
    /// Why it was not stored.
    pub fn send(topic: &str, body: &[u8], properties: &[(&str, &str)]) -> Result<(), Failure> {
        let own = |(name, value): &(&str, &str)| Property {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        let properties: Vec<_> = properties.iter().map(own).collect();
        host::publish::send(topic, body, &properties)
    }
}
