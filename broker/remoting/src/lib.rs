//! The broker's remoting adapter: one table of request codes, and handlers that parse, call the
//! core and render. Nothing else is decided here, but whether a client is within its quota.
//!
//! | module | holds |
//! |---|---|
//! | [`table`] | every request code: its handler, and what it must be allowed to do |
//! | [`quota`] | how much each user and each address may take, and what is used of it |
//! | `allow` | whether a request may be carried out |
//! | `answers` | answers that come later |
//! | `call` | a request, with what belongs to it |
//! | `dispatch` | a burst of frames on its way to the handlers |
//! | `handlers` | one file per group of requests |
//! | `status` | refusals of the core as response codes |
//! | `response` | what handlers return |
//! | `subject` | what requests are about, for the flight recorder |
//! | `traced` | sends as spans, once they are answered |
//! | `processor` | what RocketMQ calls those who serve requests |
//! | `channel` | a connection as the core sees a client |

mod allow;
mod answers;
mod call;
mod channel;
mod dispatch;
mod handlers;
mod processor;
pub mod quota;
mod response;
mod status;
mod subject;
pub mod table;
mod traced;

use std::collections::HashMap;
use std::sync::Arc;

use blockhouse_core::Broker;
use blockhouse_hook::{Acls, Users};
use blockhouse_meter::Meter;

use quota::Quotas;
pub use status::of as code_of;
pub use table::{Entry, Row, Shown, TABLE};

/// What the adapter tells clients that the core does not know: the process around it.
pub trait Node: Send + Sync + 'static {
    /// The configuration as RocketMQ's `key=value` text.
    fn properties(&self) -> String;

    /// Changes configuration; `key=value` text.
    ///
    /// # Errors
    /// What cannot be changed, as a sentence.
    fn update(&self, properties: &str) -> Result<(), String>;

    /// The users, where requests are authenticated.
    fn users(&self) -> Option<Arc<dyn Users>> {
        None
    }

    /// The ACLs, where policies are asked.
    fn acls(&self) -> Option<Arc<dyn Acls>> {
        None
    }

    /// Facts for `brokerStatus` beyond the core's: version, boot time, paths.
    fn facts(&self) -> Vec<(&'static str, String)>;
}

/// The service that a broker's listener runs.
pub struct Remoting {
    broker: Arc<Broker>,
    node: Arc<dyn Node>,
    meter: Arc<Meter>,
    rows: HashMap<i32, &'static Row>,
    /// `None`: nobody is bounded.
    quotas: Option<Arc<Quotas>>,
}

impl Remoting {
    /// The adapter over `broker`; requests are counted in `meter`.
    #[must_use]
    pub fn new(broker: Arc<Broker>, node: Arc<dyn Node>, meter: Arc<Meter>) -> Arc<Self> {
        Self::bounded(broker, node, meter, &quota::Config::default())
    }

    /// The same, with bounds on what each client may take.
    #[must_use]
    pub fn bounded(
        broker: Arc<Broker>,
        node: Arc<dyn Node>,
        meter: Arc<Meter>,
        quota: &quota::Config,
    ) -> Arc<Self> {
        let rows = TABLE.iter().map(|row| (row.code, row)).collect();
        Arc::new(Self { broker, node, meter, rows, quotas: Quotas::new(quota) })
    }
}
