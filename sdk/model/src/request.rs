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
    /// The user that the connection's certificate stands for, if it has one.
    pub certificate: Option<Arc<str>>,
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
            certificate: None,
            client_id: None,
            trace_parent: None,
        }
    }

    /// Settles who the client is: `named` is what hooks made of the request's credentials, which
    /// have this access key (empty without). Whoever shows a certificate is its user and nobody
    /// else; `false` if the credentials are of another.
    #[must_use]
    pub fn identify(&mut self, named: Principal, access_key: &str) -> bool {
        let Some(certificate) = &self.certificate else {
            self.principal = named;
            return true;
        };
        let is_same = |name: &str| name == &**certificate;
        let fits = match &named {
            Principal::Anonymous => access_key.is_empty() || is_same(access_key),
            Principal::User(name) => is_same(name),
            Principal::Plugin(_) => false,
        };
        if fits {
            self.principal = Principal::User(Arc::clone(certificate));
        }
        fits
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

impl Action {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Pub, Self::Sub, Self::Create, Self::Update, Self::Delete, Self::Get, Self::List];

    /// RocketMQ's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pub => "Pub",
            Self::Sub => "Sub",
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Get => "Get",
            Self::List => "List",
        }
    }
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
    /// A plugin of this node, by its binding's name; empty: all plugins, whatever they are called.
    Plugin(&'a str),
    /// The audit log of this node.
    Audit,
}

/// One thing that a request wants to do; a request may want several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access<'a> {
    /// What is done.
    pub action: Action,
    /// To what.
    pub resource: Resource<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_and_credentials_have_to_be_of_one_user() {
        let user = |name: &str| Principal::User(name.into());
        let identify = |certificate: Option<&str>, named: Principal, access_key: &str| {
            let mut cx = RequestContext::new(([127, 0, 0, 1], 1).into(), 1, 0);
            cx.certificate = certificate.map(Into::into);
            cx.identify(named, access_key).then_some(cx.principal)
        };
        let nobody = Principal::Anonymous;
        assert_eq!(identify(None, nobody.clone(), ""), Some(nobody.clone()));
        // Without a hook that knows it, an access key proves nothing, and harms nobody.
        assert_eq!(identify(None, nobody.clone(), "a"), Some(nobody.clone()));
        assert_eq!(identify(None, user("a"), "a"), Some(user("a")));
        assert_eq!(identify(Some("a"), nobody.clone(), ""), Some(user("a")));
        assert_eq!(identify(Some("a"), nobody.clone(), "a"), Some(user("a")));
        assert_eq!(identify(Some("a"), user("a"), "a"), Some(user("a")));
        assert_eq!(identify(Some("a"), nobody, "b"), None);
        assert_eq!(identify(Some("a"), user("b"), "b"), None);
        assert_eq!(identify(Some("a"), user("b"), ""), None);
        assert_eq!(identify(Some("a"), Principal::plugin("a"), ""), None);
    }
}
