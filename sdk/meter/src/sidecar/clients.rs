//! What members of consumer groups say of themselves: only they know how long it takes them to consume.

use std::sync::Arc;

use super::families as f;
use crate::{Metric, Sample};

/// What a member says of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientView {
    /// Its address.
    pub address: Arc<str>,
    /// Its id.
    pub client_id: Arc<str>,
    /// The group that it is in.
    pub group: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// What it says.
    pub says: Consumption,
}

/// How a member gets on with a topic; what it does not tell, or tells as no number, is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumption {
    /// Messages of the last hour that it failed to consume.
    pub failed: Option<f64>,
    /// The same in a second.
    pub failed_per_second: Option<f64>,
    /// Messages that it consumes in a second.
    pub consumed_per_second: Option<f64>,
    /// How long it takes for a message, in milliseconds.
    pub consume_ms: Option<f64>,
    /// How long a pull takes, in milliseconds.
    pub pull_ms: Option<f64>,
    /// Messages that it pulls in a second.
    pub pulled_per_second: Option<f64>,
}

type Figure = (&'static Metric, fn(&Consumption) -> Option<f64>);

const FIGURES: [Figure; 6] = [
    (&f::CLIENT_FAILED, |says| says.failed),
    (&f::CLIENT_FAILED_TPS, |says| says.failed_per_second),
    (&f::CLIENT_OK_TPS, |says| says.consumed_per_second),
    (&f::CLIENT_CONSUME_TIME, |says| says.consume_ms),
    (&f::CLIENT_PULL_TIME, |says| says.pull_ms),
    (&f::CLIENT_PULL_TPS, |says| says.pulled_per_second),
];

/// Hands every value to `visit`, samples of one metric one after the other. How many there are is up to whoever asks
/// the members.
pub(super) fn read(clients: &[ClientView], visit: &mut dyn FnMut(&Sample<'_>)) {
    for (metric, figure) in FIGURES {
        for view in clients {
            let Some(value) = figure(&view.says) else { continue };
            let labels: &[&str] = &[&view.address, &view.client_id, &view.group, &view.topic];
            visit(&Sample { metric, labels, value });
        }
    }
}
