//! What a handler gets.

use std::sync::Arc;

use blockhouse_hook::HookChain;
use blockhouse_model::RequestContext;
use blockhouse_protocol::RemotingCommand;
use blockhouse_transport::Connection;

/// A request that has been admitted.
pub(crate) struct Request<'a> {
    /// As it came.
    pub(crate) command: &'a RemotingCommand,
    /// Who asks.
    pub(crate) cx: &'a RequestContext,
    /// Over which connection.
    pub(crate) connection: &'a Arc<Connection>,
    /// The hooks in force.
    pub(crate) hooks: &'a HookChain,
}
