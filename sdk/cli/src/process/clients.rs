//! Who is connected to the broker: on the control API, and counted for metrics.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock, Weak};

use blockhouse_core::Broker;
use blockhouse_core::clients::{ClientView, ConsumeType};
use blockhouse_meter::MemberCount;
use blockhouse_model::{Access, Action, Resource};
use blockhouse_ops::{Handler, Reply, Row};
use blockhouse_protocol::LanguageCode;
use blockhouse_protocol::codes::version;
use hyper::http::Method;
use serde::{Deserialize, Serialize};

/// Most clients of an answer.
const CLIENTS_MAX: usize = 10_000;

/// The way to the broker, which starts after the ops listener.
#[derive(Debug, Default)]
pub(super) struct Connected(OnceLock<Weak<Broker>>);

/// Who is connected.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Clients {
    /// By client id.
    pub(crate) clients: Vec<Client>,
    /// How many more there are.
    pub(crate) left_out: usize,
}

/// A client on one connection.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Client {
    pub(crate) client_id: String,
    pub(crate) address: String,
    pub(crate) language: String,
    pub(crate) version: String,
    /// Its first heartbeat over this connection, of the groups that it is still in.
    pub(crate) since_ms: i64,
    pub(crate) last_heartbeat_ms: i64,
    /// Groups in which it produces.
    pub(crate) produces: Vec<String>,
    /// Groups in which it consumes.
    pub(crate) consumes: Vec<Consumes>,
}

/// A client's membership of a consumer group.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Consumes {
    pub(crate) group: String,
    /// `pull`, `push` or `pop`.
    pub(crate) mode: String,
    pub(crate) broadcasting: bool,
}

impl Connected {
    /// The broker is there.
    pub(super) fn open(&self, broker: &Arc<Broker>) {
        self.0.get_or_init(|| Arc::downgrade(broker));
    }

    fn look(&self) -> Clients {
        // A name server alone has no clients that say who they are.
        let broker = self.0.get().and_then(Weak::upgrade);
        let mut views = broker.map(|broker| broker.clients().inventory()).unwrap_or_default();
        let left_out = views.len().saturating_sub(CLIENTS_MAX);
        views.truncate(CLIENTS_MAX);
        Clients { clients: views.iter().map(client).collect(), left_out }
    }
}

/// All rows.
pub(super) fn rows(connected: &Arc<Connected>) -> Vec<Row> {
    let connected = Arc::clone(connected);
    let look = move |_: &_| match serde_json::to_value(connected.look()) {
        Ok(clients) => Reply::ok(clients),
        Err(error) => {
            let status = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            Reply::refusal(status, "failed", &error.to_string())
        }
    };
    vec![Row {
        path: "/v1/clients",
        method: Method::GET,
        access: Access { action: Action::Get, resource: Resource::Cluster },
        handler: Handler::Look(Box::new(look)),
    }]
}

/// Members of groups, by what clients they are, with names in lower case as RocketMQ's exporter has them.
pub(super) fn members(broker: &Broker) -> Vec<MemberCount> {
    let mut found: std::collections::BTreeMap<_, usize> = std::collections::BTreeMap::new();
    for (kind, members) in broker.clients().kinds() {
        let consumes = kind.consumes.map(|(group, how)| (group.as_str().into(), mode(how)));
        let language = LanguageCode(kind.language).name();
        let names = (language, version::name(kind.version));
        // Numbers that have no name of their own share one.
        *found.entry((consumes, names)).or_default() += members;
    }
    let lower = |name: &str| Cow::Owned(name.to_ascii_lowercase());
    found
        .into_iter()
        .map(|((consumes, (language, version)), members)| MemberCount {
            consumes,
            language: lower(language),
            version: lower(&version),
            members,
        })
        .collect()
}

fn client(view: &ClientView) -> Client {
    let consumes = |(group, how, model): &(blockhouse_model::Group, ConsumeType, _)| Consumes {
        group: group.to_string(),
        mode: mode(*how).to_owned(),
        broadcasting: *model == blockhouse_core::clients::MessageModel::Broadcasting,
    };
    Client {
        client_id: view.client_id.to_string(),
        address: view.peer.to_string(),
        language: LanguageCode(view.language).name().to_owned(),
        version: version::name(view.version).into_owned(),
        since_ms: view.since.0,
        last_heartbeat_ms: view.seen.0,
        produces: view.producers.iter().map(ToString::to_string).collect(),
        consumes: view.consumers.iter().map(consumes).collect(),
    }
}

/// RocketMQ's short names, in lower case.
const fn mode(how: ConsumeType) -> &'static str {
    match how {
        ConsumeType::Actively => "pull",
        ConsumeType::Passively => "push",
        ConsumeType::Pop => "pop",
    }
}
