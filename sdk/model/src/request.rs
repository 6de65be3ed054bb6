//! Who asks, from where, and for what: what hooks and policies decide on.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::TraceParent;

/// Who a request comes from, once authenticated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody proved anything.
    #[default]
    Anonymous,
    /// A named user.
    User(Arc<str>),
    /// A plugin, as `plugin:` and its binding's name: what it sends, nobody else sent. No user has
    /// such a name.
    Plugin(Arc<str>),
}

impl Principal {
    /// What the names of plugins begin with.
    pub const PLUGIN_PREFIX: &str = "plugin:";

    /// The plugin of this binding.
    #[must_use]
    pub fn plugin(binding: &str) -> Self {
        Self::Plugin([Self::PLUGIN_PREFIX, binding].concat().into())
    }
}

/// What travels with a request besides its own fields.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The client's address.
    pub peer: SocketAddr,
    /// Who the client is.
    pub principal: Principal,
    /// The wire code of the request, for hooks that scope by it (0 where a protocol has none).
    pub code: i32,
    /// A number that tells the connection from others of this process.
    pub connection: u64,
    /// A number that tells the request from others of this process; 0 where nobody counts.
    pub request: u64,
    /// Whether the connection is encrypted.
    pub secure: bool,
    /// What the client calls itself in its heartbeats; `None` until then, and where no hook asks.
    pub client_id: Option<Arc<str>>,
    /// The caller's span, if the request names one and a hook may see it.
    pub trace_parent: Option<TraceParent>,
}

impl RequestContext {
    /// A request of nobody's, of which no more is known.
    #[must_use]
    pub const fn new(peer: SocketAddr, connection: u64, code: i32) -> Self {
        Self {
            peer,
            principal: Principal::Anonymous,
            code,
            connection,
            request: 0,
            secure: false,
            client_id: None,
            trace_parent: None,
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send messages.
    Pub,
    /// Receive messages, commit offsets.
    Sub,
    /// Create something.
    Create,
    /// Change something.
    Update,
    /// Remove something.
    Delete,
    /// Look at one thing.
    Get,
    /// List things.
    List,
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource<'a> {
    /// The cluster as a whole: configuration, brokers, routes.
    Cluster,
    /// A topic.
    Topic(&'a str),
    /// A consumer group.
    Group(&'a str),
    /// The policies of this node.
    Policy,
}

/// One thing that a request wants to do; a request may want several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access<'a> {
    /// What is done.
    pub action: Action,
    /// To what.
    pub resource: Resource<'a>,
}
