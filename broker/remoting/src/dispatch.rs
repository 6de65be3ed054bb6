//! A burst of frames on its way to the handlers.

use std::sync::Arc;

use blockhouse_core::Caller;
use blockhouse_hook::{ConnectionInfo, Credentials, HookChain, Point, Rejection, Settled, Verdict};
use blockhouse_model::trace::TRACE_PARENT;
use blockhouse_model::{Access, RequestContext, Resource, TraceParent};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::signed::{ACCESS_KEY, SIGNATURE, signed_fields};
use blockhouse_transport::{Connection, Replies, Service, Sessions};

use crate::Remoting;
use crate::call::{Call, OwnedCall};
use crate::handlers::{pull_message, send_message};
use crate::response::{Failure, Response};
use crate::table::{Entry, Handler, Immediate, Row};

impl Service for Remoting {
    fn burst(
        &self,
        connection: &Arc<Connection>,
        burst: &mut Vec<RemotingCommand>,
        replies: &mut Replies,
    ) {
        // One chain for all that these requests meet: one that comes into force now is for later ones.
        let loaded = self.broker.hooks().load();
        let hooks: &Arc<HookChain> = &loaded;
        let mut commands = std::mem::take(burst);
        let first =
            if hooks.is_empty() { None } else { Some(self.broker.hooks().number(commands.len())) };
        let mut numbers = first.into_iter().flat_map(|first| first..);
        let mut rest = commands.drain(..).peekable();
        while let Some(command) = rest.next() {
            let Some(row) = self.rows.get(&command.code).copied() else {
                self.refuse(&command, Failure::unsupported(command.code), replies);
                continue;
            };
            let number = numbers.next().unwrap_or(0);
            let cx = match context(hooks, connection, number, &command) {
                Ok(cx) => cx,
                Err(failure) => {
                    self.refuse(&command, failure, replies);
                    continue;
                }
            };
            let caller = Caller { cx: &cx, hooks };
            if matches!(row.handler, Handler::Send) {
                // Credentials and spans are per request: a run is only of requests that carry none.
                let plain = command.ext.get(ACCESS_KEY).is_none() && cx.trace_parent.is_none();
                let hooked = !hooks.is_empty();
                let mut run = vec![command];
                while let Some(next) = rest.next_if(|next| plain && self.joins(next, &cx, hooked)) {
                    run.push(next);
                }
                send_message::handle(&self.broker, &self.meter, caller, run, replies);
            } else {
                self.one(connection, row, caller, command, replies);
            }
        }
        drop(rest);
        *burst = commands;
        self.broker.keep_commits();
    }
}

impl Remoting {
    fn joins(&self, next: &RemotingCommand, cx: &RequestContext, hooked: bool) -> bool {
        let send = self.rows.get(&next.code).is_some_and(|r| matches!(r.handler, Handler::Send));
        send && next.code == cx.code
            && next.ext.get(ACCESS_KEY).is_none()
            && !(hooked && next.ext.get(TRACE_PARENT).is_some())
    }

    fn one(
        &self,
        connection: &Arc<Connection>,
        row: &Row,
        caller: Caller<'_>,
        command: RemotingCommand,
        replies: &mut Replies,
    ) {
        if let Err(failure) = allow(row, caller, &command) {
            return self.refuse(&command, failure, replies);
        }
        let (opaque, mark, one_way) = (command.opaque, replies.mark(), command.is_one_way());
        // What an admin command asks for is done once the audit has its record.
        let settled = if row.admin { caller.hooks.settled() } else { None };
        match row.handler {
            Handler::Send => {}
            Handler::Pull => {
                pull_message::handle(&self.broker, &self.meter, caller, &command, replies);
            }
            Handler::Now(handle) => {
                let call = Call {
                    broker: &self.broker,
                    node: &self.node,
                    connection,
                    caller,
                    command: &command,
                };
                if let Some(settled) = settled {
                    self.after(settled, &call, handle, replies);
                } else {
                    let response = handle(&call).unwrap_or_else(Response::from);
                    self.meter.requests.add(command.code, response.code, 1);
                    response.write(opaque, replies);
                }
            }
            Handler::Later(handle) => {
                let (broker, meter) = (Arc::clone(&self.broker), Arc::clone(&self.meter));
                let (code, cx) = (command.code, caller.cx.clone());
                let node = Arc::clone(&self.node);
                let hooks = Arc::clone(caller.hooks);
                let call = OwnedCall { broker, node, cx, hooks, command };
                let answer = match settled {
                    None => handle(call),
                    Some(settled) => Box::pin(async move {
                        settled.await.map_err(refusal)?;
                        handle(call).await
                    }),
                };
                replies.defer(async move {
                    let mut replies = Replies::new();
                    let response = answer.await.unwrap_or_else(Response::from);
                    meter.requests.add(code, response.code, 1);
                    response.write(opaque, &mut replies);
                    replies
                });
            }
        }
        if one_way {
            replies.silence(mark);
        }
    }

    /// Carries a request out when `settled` says that the audit has its record.
    fn after(&self, settled: Settled, call: &Call<'_>, handle: Immediate, replies: &mut Replies) {
        let (broker, node) = (Arc::clone(call.broker), Arc::clone(call.node));
        let (connection, meter) = (Arc::clone(call.connection), Arc::clone(&self.meter));
        let (cx, hooks) = (call.caller.cx.clone(), Arc::clone(call.caller.hooks));
        let command = call.command.clone();
        replies.defer(async move {
            let carry_out = || {
                handle(&Call {
                    broker: &broker,
                    node: &node,
                    connection: &connection,
                    caller: Caller { cx: &cx, hooks: &hooks },
                    command: &command,
                })
            };
            let done = settled.await.map_err(refusal).and_then(|()| carry_out());
            let response = done.unwrap_or_else(Response::from);
            let mut replies = Replies::new();
            meter.requests.add(command.code, response.code, 1);
            response.write(command.opaque, &mut replies);
            replies
        });
    }

    fn refuse(&self, command: &RemotingCommand, failure: Failure, replies: &mut Replies) {
        self.meter.requests.add(command.code, failure.code, 1);
        if !command.is_one_way() {
            Response::from(failure).write(command.opaque, replies);
        }
    }
}

fn refusal(rejection: Rejection) -> Failure {
    blockhouse_core::Refusal::from(rejection).into()
}

impl Sessions for Remoting {
    fn opened(&self, connection: &Arc<Connection>) -> bool {
        let hooks = self.broker.hooks().load();
        hooks.connection_opened(&info(connection)) == Verdict::Continue
    }

    fn closed(&self, connection: &Arc<Connection>) {
        self.broker.clients().closed(connection.id());
        self.broker.hooks().load().connection_closed(&info(connection));
    }
}

fn info(connection: &Connection) -> ConnectionInfo {
    ConnectionInfo {
        id: connection.id(),
        peer: connection.peer(),
        local: connection.local(),
        secure: connection.is_secure(),
    }
}

/// Asks for what the row demands, and tells the admin hook.
fn allow(row: &Row, caller: Caller<'_>, command: &RemotingCommand) -> Result<(), Failure> {
    let named = |field: &str| command.ext.get(field).unwrap_or_default();
    let (access, target) = match row.entry {
        Entry::Core => (None, ""),
        Entry::Cluster(action) => (Some((action, Resource::Cluster)), ""),
        Entry::Topic(action, field) => {
            (Some((action, Resource::Topic(named(field)))), named(field))
        }
        Entry::Group(action, field) => {
            (Some((action, Resource::Group(named(field)))), named(field))
        }
        Entry::Member(field) => {
            let group = Resource::Group(named(field));
            (Some((blockhouse_model::Action::Sub, group)), named(field))
        }
    };
    if let Some((action, resource)) = access {
        caller.authorize(&[Access { action, resource }])?;
    }
    if row.admin {
        let name = blockhouse_protocol::codes::request_code::name(row.code);
        caller.announce_admin(name, target)?;
    }
    Ok(())
}

/// Who asks: the connection, and the principal that the request's credentials prove.
fn context(
    hooks: &HookChain,
    connection: &Connection,
    number: u64,
    command: &RemotingCommand,
) -> Result<RequestContext, Failure> {
    let mut cx = RequestContext::new(connection.peer(), connection.id(), command.code);
    cx.request = number;
    cx.secure = connection.is_secure();
    if !hooks.is_empty() {
        cx.trace_parent = command.ext.get(TRACE_PARENT).and_then(TraceParent::parse);
    }
    if hooks.wants_client_id() {
        cx.client_id = connection.client_id();
    }
    if hooks.has(Point::Authenticate) {
        let access_key = command.ext.get(ACCESS_KEY).unwrap_or_default();
        let signed = if access_key.is_empty() { Vec::new() } else { signed_fields(command) };
        let credentials = Credentials {
            access_key,
            signature: command.ext.get(SIGNATURE).unwrap_or_default(),
            signed_fields: &signed,
            body: &command.body,
        };
        cx.principal = hooks.authenticate(&cx, &credentials).map_err(refusal)?;
    }
    Ok(cx)
}
