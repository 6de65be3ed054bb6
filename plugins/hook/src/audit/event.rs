//! One decision, as sinks are told of it.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use blockhouse_model::{Access, Principal, RequestContext, Resource, Timestamp};

use super::Decided;
use crate::{AdminCommand, BrokerRegistration, ConnectionInfo, Delivery, Pull};

/// Bytes of an action and of who decided.
const NAME_MAX: usize = 256;
/// Bytes of a resource and of a reason. With the names an event stays below 4 KiB.
const TEXT_MAX: usize = 1_024;

/// What was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditKind {
    /// A connection was opened or closed.
    Connection,
    /// Who a request comes from.
    Authentication,
    /// Whether something may be done.
    Authorization,
    /// What becomes of a message that is sent.
    Send,
    /// Whether a consumer may pull, and what is delivered.
    Delivery,
    /// Whether an administrative request takes effect.
    AdminCommand,
    /// Whether a broker may report.
    BrokerRegistration,
    /// What a client is told of a route.
    RouteQuery,
    /// A plugin was deployed, failed, stopped or taken out.
    Plugin,
}

impl AuditKind {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Connection,
        Self::Authentication,
        Self::Authorization,
        Self::Send,
        Self::Delivery,
        Self::AdminCommand,
        Self::BrokerRegistration,
        Self::RouteQuery,
        Self::Plugin,
    ];
}

/// How it was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It went on.
    Allowed,
    /// It was refused.
    Refused,
    /// The message was dropped, or left out of a delivery.
    Dropped,
    /// The message went to another topic.
    Rerouted,
    /// The message or the answer was changed.
    Edited,
    /// The hook failed, and its failure policy decided.
    Failed,
}

impl Outcome {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::Allowed, Self::Refused, Self::Dropped, Self::Rerouted, Self::Edited, Self::Failed];
}

/// One decision. Names are as in the request; message bodies are never in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Counts up by one per node; a gap is a loss.
    pub sequence: u64,
    /// When.
    pub time: Timestamp,
    /// What was decided on.
    pub kind: AuditKind,
    /// How.
    pub outcome: Outcome,
    /// Who asked.
    pub principal: Principal,
    /// From where; the unspecified address for what the node did itself.
    pub peer: SocketAddr,
    /// The connection's number; 0 for what the node did itself.
    pub connection: u64,
    /// The request's code; 0 where there is none.
    pub code: i32,
    /// What was to be done.
    pub action: String,
    /// To what; empty when it is about the node.
    pub resource: String,
    /// The hook that decided; empty when none objected.
    pub decided_by: String,
    /// Whether the decision was not carried out, since the hook only watches.
    pub shadow: bool,
    /// The reason that was given; empty when none was.
    pub reason: String,
    /// Whether what was allowed is done only once this is recorded; else it may have been done when this was told.
    pub announced: bool,
}

/// What became of a plugin.
#[derive(Clone, Copy, Debug)]
pub struct PluginEvent<'a> {
    /// The binding.
    pub name: &'a str,
    /// What was done, for example `load` or `deploy`.
    pub action: &'a str,
    /// How that went.
    pub outcome: Outcome,
    /// More about it; empty if there is no more.
    pub reason: &'a str,
    /// Who asked for it; `None` for what the node did by itself.
    pub caller: Option<&'a RequestContext>,
}

/// What a decision is about, as the hook saw it. Nothing is copied until a sink listens.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A connection that was opened.
    Opened(&'a ConnectionInfo),
    /// A connection that was closed.
    Closed(&'a ConnectionInfo),
    /// A connection that what is below requests put an end to, and which part of it.
    Shut(&'a ConnectionInfo, &'a str),
    /// A request that nothing here is known by: its code, or its method and path.
    Unknown(&'a RequestContext, &'a str),
    /// Credentials, with the access key that they claim.
    Authenticate(&'a RequestContext, &'a str),
    /// What a request wants to do.
    Authorize(&'a RequestContext, &'a [Access<'a>]),
    /// A message, with the topic it is sent to.
    Send(&'a RequestContext, &'a str),
    /// A consumer's request.
    Pull(&'a RequestContext, &'a Pull<'a>),
    /// Messages for a consumer.
    Deliver(&'a RequestContext, &'a Delivery<'a>),
    /// An administrative request, which may have been carried out when this is told.
    Admin(&'a RequestContext, &'a AdminCommand<'a>),
    /// An administrative request that is carried out only once this is recorded.
    Announced(&'a RequestContext, &'a AdminCommand<'a>),
    /// A broker's report.
    Register(&'a RequestContext, &'a BrokerRegistration<'a>),
    /// A topic's route.
    Route(&'a RequestContext, &'a str),
}

/// The action of events of requests that are not known.
const UNKNOWN: &str = "unknown";

/// Where it comes from.
enum Origin<'a> {
    Connection(&'a ConnectionInfo),
    Request(&'a RequestContext),
}

impl<'a> Subject<'a> {
    fn origin(self) -> Origin<'a> {
        match self {
            Self::Opened(connection) | Self::Closed(connection) | Self::Shut(connection, _) => {
                Origin::Connection(connection)
            }
            Self::Authenticate(cx, _)
            | Self::Authorize(cx, _)
            | Self::Send(cx, _)
            | Self::Pull(cx, _)
            | Self::Deliver(cx, _)
            | Self::Admin(cx, _)
            | Self::Announced(cx, _)
            | Self::Register(cx, _)
            | Self::Route(cx, _)
            | Self::Unknown(cx, _) => Origin::Request(cx),
        }
    }

    /// The event, but for its number and its time.
    pub(super) fn event(self, decided: Decided<'_>) -> AuditEvent {
        let (kind, action, resource) = self.words();
        let mut event = AuditEvent {
            kind,
            action: cut(action, NAME_MAX),
            resource: cut(resource, TEXT_MAX),
            announced: matches!(self, Self::Announced(..)),
            ..AuditEvent::of_node(decided)
        };
        match self.origin() {
            Origin::Connection(connection) => {
                event.peer = connection.peer;
                event.connection = connection.id;
            }
            Origin::Request(cx) => event.of(cx),
        }
        event
    }

    /// The number of the connection that it came over.
    pub(super) fn connection(self) -> u64 {
        match self.origin() {
            Origin::Connection(connection) => connection.id,
            Origin::Request(cx) => cx.connection,
        }
    }

    /// Kind, action and resource.
    fn words(self) -> (AuditKind, String, String) {
        let topic_of = |group: &str, topic: &str| match group {
            "" => format!("topic:{topic}"),
            group => format!("topic:{topic},group:{group}"),
        };
        match self {
            Self::Opened(_) => (AuditKind::Connection, "open".to_owned(), String::new()),
            Self::Closed(_) => (AuditKind::Connection, "close".to_owned(), String::new()),
            Self::Shut(_, part) => (AuditKind::Connection, part.to_owned(), String::new()),
            Self::Unknown(_, what) => {
                (AuditKind::Authorization, UNKNOWN.to_owned(), what.to_owned())
            }
            Self::Authenticate(_, key) => {
                let resource = if key.is_empty() { String::new() } else { format!("key:{key}") };
                (AuditKind::Authentication, "authenticate".to_owned(), resource)
            }
            Self::Authorize(_, accesses) => {
                (AuditKind::Authorization, actions(accesses), resources(accesses))
            }
            Self::Send(_, topic) => (AuditKind::Send, "Pub".to_owned(), topic_of("", topic)),
            Self::Pull(_, pull) => {
                (AuditKind::Delivery, "Sub".to_owned(), topic_of(pull.group, pull.topic))
            }
            Self::Deliver(_, to) => {
                (AuditKind::Delivery, "Sub".to_owned(), topic_of(to.group, to.topic))
            }
            Self::Admin(_, command) | Self::Announced(_, command) => {
                (AuditKind::AdminCommand, command.name.to_owned(), command.target.to_owned())
            }
            Self::Register(_, report) => {
                let resource = format!("broker:{}", report.broker);
                (AuditKind::BrokerRegistration, "REGISTER_BROKER".to_owned(), resource)
            }
            Self::Route(_, topic) => {
                (AuditKind::RouteQuery, "GET_ROUTEINFO_BY_TOPIC".to_owned(), topic_of("", topic))
            }
        }
    }
}

impl AuditEvent {
    /// `anonymous`, or the user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        match &self.principal {
            Principal::Anonymous => "anonymous",
            Principal::User(name) | Principal::Plugin(name) => name,
        }
    }

    /// Whether its code, resource and reason are whatever the other side made up before anything was
    /// decided on. Such events of one source are alike, or who makes up new ones all the time has a record of each.
    #[must_use]
    pub fn is_made_up(&self) -> bool {
        match self.kind {
            AuditKind::Authorization => self.action == UNKNOWN,
            AuditKind::Connection => {
                self.outcome == Outcome::Refused && !matches!(&*self.action, "open" | "close")
            }
            _ => false,
        }
    }

    /// Who asked, and from where.
    fn of(&mut self, cx: &RequestContext) {
        self.principal = cx.principal.clone();
        self.peer = cx.peer;
        self.connection = cx.connection;
        self.code = cx.code;
    }

    /// An event about the node itself.
    fn of_node(decided: Decided<'_>) -> Self {
        Self {
            sequence: 0,
            time: Timestamp(0),
            kind: AuditKind::Plugin,
            outcome: decided.outcome,
            principal: Principal::Anonymous,
            peer: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
            connection: 0,
            code: 0,
            action: String::new(),
            resource: String::new(),
            decided_by: cut(decided.by.to_owned(), NAME_MAX),
            shadow: decided.shadow,
            reason: cut(decided.reason.to_owned(), TEXT_MAX),
            announced: false,
        }
    }
}

impl PluginEvent<'_> {
    pub(super) fn event(&self) -> AuditEvent {
        let Self { name, action, outcome, reason, caller } = *self;
        let mut event = AuditEvent {
            action: cut(action.to_owned(), NAME_MAX),
            resource: format!("plugin:{}", cut(name.to_owned(), NAME_MAX)),
            ..AuditEvent::of_node(Decided { outcome, by: "", shadow: false, reason })
        };
        if let Some(cx) = caller {
            event.of(cx);
        }
        event
    }
}

fn actions(accesses: &[Access<'_>]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for access in accesses {
        let word = access.action.name();
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(",")
}

fn resources(accesses: &[Access<'_>]) -> String {
    let mut text = String::new();
    for access in accesses {
        if text.len() > TEXT_MAX {
            break;
        }
        let resource = match access.resource {
            Resource::Cluster => "cluster".to_owned(),
            Resource::Topic(topic) => format!("topic:{topic}"),
            Resource::Group(group) => format!("group:{group}"),
            Resource::Policy => "policy".to_owned(),
            Resource::Plugin("") => "plugin".to_owned(),
            Resource::Plugin(name) => format!("plugin:{name}"),
            Resource::Audit => "audit".to_owned(),
        };
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&resource);
    }
    text
}

/// A text of at most so many bytes.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
    }
    text
}

#[cfg(test)]
mod tests {
    use blockhouse_model::Action;

    use super::*;

    #[test]
    fn texts_are_cut_at_a_character() {
        assert_eq!(cut("aé".repeat(3), 5), "aéa");
        assert_eq!(cut("short".to_owned(), 5), "short");
    }

    #[test]
    fn an_event_stays_small() {
        let cx = RequestContext::new(([127, 0, 0, 1], 1).into(), 1, 310);
        let long = "t".repeat(100_000);
        let accesses = vec![Access { action: Action::Pub, resource: Resource::Topic(&long) }; 9];
        let decided =
            Decided { outcome: Outcome::Refused, by: &long, shadow: false, reason: &long };
        let event = Subject::Authorize(&cx, &accesses).event(decided);
        let AuditEvent { action, resource, decided_by, reason, .. } = event;
        assert!(action.len() + resource.len() + decided_by.len() + reason.len() <= 4_096);
        assert_eq!(action, "Pub");
    }
}
