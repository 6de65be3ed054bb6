//! One trait per hook. When each runs and what a failure does is drawn in `docs/hooks.md`.

use std::borrow::Cow;

use crate::bindings::{authenticate, enrich_span};
use crate::message::{Lender, Message};
use crate::raw::RouteAnswer;
use crate::{
    Access, Appended, Changes, Command, ConnectionInfo, Context, Deliveries, Delivery, Drafts,
    Event, Identity, Outbound, Plugin, Progress, PullRequest, Registration, RouteEntry, Span,
    Verdict,
};

/// Connections of clients, brokers and tools.
pub trait Connection: Plugin {
    /// A client connected. A refusal closes the connection before a byte is read.
    fn opened(&mut self, _connection: &ConnectionInfo) -> Verdict {
        Verdict::Continue
    }

    /// A connection ended; each one that was opened is reported once.
    fn closed(&mut self, _connection: &ConnectionInfo) {}
}

/// Who is this?
pub trait Authenticate: Plugin {
    /// The first hook that names a principal or refuses decides.
    fn authenticate(&mut self, cx: &Context, credentials: &Credentials<'_>) -> Identity;
}

/// May this principal do that?
pub trait Authorize: Plugin {
    /// May the principal of `cx` do all of `accesses`? Hooks can only narrow.
    fn authorize(&mut self, cx: &Context, accesses: &[Access]) -> Verdict;
}

/// Messages before they are stored.
pub trait BeforeSend: Plugin {
    /// Puts into `changes` what is not to be stored as it came.
    fn before_send(&mut self, cx: &Context, drafts: &Drafts<'_>, changes: &mut Changes);
}

/// Messages that have been stored.
pub trait AfterAppend: Plugin {
    /// Observes, off the data path.
    fn after_append(&mut self, cx: &Context, messages: &Appended<'_>);
}

/// A consumer asks for messages.
pub trait Pull: Plugin {
    /// Runs after authorization, before the store is read.
    fn pull(&mut self, cx: &Context, request: &PullRequest) -> Verdict;
}

/// Messages on their way to a consumer.
pub trait BeforeDeliver: Plugin {
    /// Puts into `deliveries` what is not to be delivered as it is.
    fn before_deliver(
        &mut self,
        cx: &Context,
        delivery: &Delivery,
        messages: &Outbound<'_>,
        deliveries: &mut Deliveries,
    );
}

/// A consumer has committed progress.
pub trait Ack: Plugin {
    /// Observes, off the data path.
    fn ack(&mut self, cx: &Context, progress: &Progress);
}

/// Administrative requests.
pub trait AdminCommand: Plugin {
    /// Runs after authorization, before the command takes effect.
    fn admin_command(&mut self, cx: &Context, command: &Command) -> Verdict;
}

/// A broker reports itself to the name server.
pub trait BrokerRegistration: Plugin {
    /// Runs for first and for repeated reports, before the routes change.
    fn broker_registration(&mut self, cx: &Context, registration: &Registration) -> Verdict;
}

/// A client asks the name server where a topic is.
pub trait RouteQuery: Plugin {
    /// Runs before a route is answered.
    fn route_query(&mut self, cx: &Context, topic: &str, route: &[RouteEntry]) -> RouteAnswer;
}

/// Spans that the node recorded, before they are exported.
pub trait EnrichSpan: Plugin {
    /// Adds attributes, off the data path.
    fn enrich_span(&mut self, spans: &mut Spans<'_>);
}

/// Where decisions are told.
pub trait AuditSink: Plugin {
    /// Takes the events, all or none, off the data path.
    ///
    /// # Errors
    /// Why none was taken; they are offered again.
    fn audit(&mut self, events: &[Event]) -> Result<(), String>;
}

/// What a request says to prove who it is from.
pub struct Credentials<'a> {
    pub(crate) raw: &'a authenticate::Credentials,
    pub(crate) body: Option<&'a dyn Lender>,
}

impl<'a> Credentials<'a> {
    /// The claimed name; empty if the request names none.
    #[must_use]
    pub fn access_key(&self) -> &'a str {
        &self.raw.access_key
    }

    /// The signature as it came, base64; empty if there is none.
    #[must_use]
    pub fn signature(&self) -> &'a str {
        &self.raw.signature
    }

    /// The signed fields' values, sorted by name and joined: what is signed before the body.
    #[must_use]
    pub fn signed_fields(&self) -> &'a [u8] {
        &self.raw.signed_fields
    }

    /// The size of the request's body in bytes.
    #[must_use]
    pub fn body_size(&self) -> u32 {
        self.raw.body_size
    }

    /// The request's body, copied from the host; empty without the grant `message-bodies`.
    #[must_use]
    pub fn body(&self) -> Cow<'a, [u8]> {
        Message::bare(0, &[], self.raw.body_size).lent(self.body).body()
    }
}

/// The spans of one batch, and what is added to them.
pub struct Spans<'a> {
    spans: &'a [Span],
    bodies: Option<&'a dyn Lender>,
    additions: Vec<enrich_span::Addition>,
}

impl<'a> Spans<'a> {
    pub(crate) fn new(spans: &'a [Span], bodies: Option<&'a dyn Lender>) -> Self {
        Self { spans, bodies, additions: Vec::new() }
    }

    /// The spans in order, each with its index and the message it is about: its properties and, if
    /// they are lent, its body. A span about no message has an empty one.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &'a Span, Message<'a>)> + use<'a> {
        let bodies = self.bodies;
        self.spans.iter().zip(0..).map(move |(span, index)| {
            let message = Message::bare(index, &span.properties, span.body_size);
            (index, span, message.lent(bodies))
        })
    }

    /// Adds an attribute to a span.
    pub fn add(&mut self, span: u32, name: impl Into<String>, value: impl Into<String>) {
        let attribute = enrich_span::Attribute { name: name.into(), value: value.into() };
        match self.additions.iter_mut().rfind(|addition| addition.span == span) {
            Some(addition) => addition.attributes.push(attribute),
            None => {
                self.additions.push(enrich_span::Addition { span, attributes: vec![attribute] });
            }
        }
    }

    /// The additions as the contract has them.
    pub fn as_raw(&mut self) -> &mut Vec<enrich_span::Addition> {
        &mut self.additions
    }

    pub(crate) fn into_raw(self) -> Vec<enrich_span::Addition> {
        self.additions
    }
}
