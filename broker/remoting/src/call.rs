//! A request on its way to its handler.

use std::sync::Arc;

use blockhouse_core::{Broker, Caller};
use blockhouse_hook::HookChain;
use blockhouse_meter::{Created, Meter};
use blockhouse_model::RequestContext;
use blockhouse_protocol::RemotingCommand;
use blockhouse_transport::Connection;

use crate::Node;
use crate::answers::Creation;

/// A request and what belongs to it.
pub(crate) struct Call<'a> {
    pub(crate) broker: &'a Arc<Broker>,
    pub(crate) node: &'a Arc<dyn Node>,
    pub(crate) connection: &'a Arc<Connection>,
    pub(crate) caller: Caller<'a>,
    pub(crate) command: &'a RemotingCommand,
}

/// The same for a handler that waits.
pub(crate) struct OwnedCall {
    pub(crate) broker: Arc<Broker>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) node: Arc<dyn Node>,
    pub(crate) cx: RequestContext,
    pub(crate) hooks: Arc<HookChain>,
    pub(crate) command: RemotingCommand,
}

impl OwnedCall {
    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller { cx: &self.cx, hooks: &self.hooks }
    }

    /// It begins to create or change something now.
    pub(crate) fn creates(&self, what: Created) -> Creation {
        Creation::begin(&self.broker, &self.meter, what)
    }
}
