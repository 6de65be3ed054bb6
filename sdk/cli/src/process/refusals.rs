//! The last requests that were refused, on the control API.

use std::sync::Arc;

use blockhouse_meter::{Meter, Refused};
use blockhouse_model::{Access, Action, Resource};
use blockhouse_ops::{Handler, Reply, Row};
use blockhouse_protocol::codes::{request_code, response_code};
use hyper::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::told;

/// The last refusals, the oldest first.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Shown {
    pub(crate) refusals: Vec<Refusal>,
}

/// A request that was refused, or several that are alike.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Refusal {
    /// The last time.
    pub(crate) at_ms: i64,
    pub(crate) count: u64,
    pub(crate) request: String,
    pub(crate) answer: String,
    pub(crate) reason: String,
    pub(crate) address: String,
    pub(crate) client: String,
    pub(crate) topic: String,
    pub(crate) group: String,
}

/// All rows.
pub(super) fn rows(meter: &Arc<Meter>) -> Vec<Row> {
    let meter = Arc::clone(meter);
    let look = move |_: &_| {
        let refusals = meter.refusals.read().into_iter().map(shown).collect();
        Reply::ok(json!(Shown { refusals }))
    };
    vec![Row {
        path: "/v1/refusals",
        method: Method::GET,
        access: Access { action: Action::Get, resource: Resource::Cluster },
        handler: Handler::Look(Box::new(look)),
    }]
}

fn shown(refused: Refused) -> Refusal {
    let Refused { at, request, answer, reason, peer, client, topic, group, count } = refused;
    let address = peer.to_string();
    let request = told::code(request_code::name(request), request);
    let answer = told::code(response_code::name(answer), answer);
    Refusal { at_ms: at.0, count, request, answer, reason, address, client, topic, group }
}
