//! A request on its way to its handler.

use std::sync::Arc;

use blockhouse_core::Broker;
use blockhouse_model::RequestContext;
use blockhouse_protocol::RemotingCommand;
use blockhouse_transport::Connection;

use crate::Node;

/// A request and what belongs to it.
pub(crate) struct Call<'a> {
    pub(crate) broker: &'a Arc<Broker>,
    pub(crate) node: &'a Arc<dyn Node>,
    pub(crate) connection: &'a Arc<Connection>,
    pub(crate) cx: &'a RequestContext,
    pub(crate) command: &'a RemotingCommand,
}

/// The same for a handler that waits.
pub(crate) struct OwnedCall {
    pub(crate) broker: Arc<Broker>,
    pub(crate) node: Arc<dyn Node>,
    pub(crate) cx: RequestContext,
    pub(crate) command: RemotingCommand,
}
