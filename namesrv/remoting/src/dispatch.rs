//! From a request to its answer: look up, authenticate, authorize, handle, write.

use std::sync::Arc;

use blockhouse_hook::{AdminCommand, Credentials, HookChain, Point, Rejection, Verdict};
use blockhouse_model::trace::TRACE_PARENT;
use blockhouse_model::{Principal, RequestContext, TraceParent};
use blockhouse_protocol::codes::request_code;
use blockhouse_protocol::signed::{ACCESS_KEY, SIGNATURE, SignedFields};
use blockhouse_protocol::{ExtFields, RemotingCommand};
use blockhouse_transport::{Connection, Replies};
use tokio::sync::oneshot;
use tracing::debug;

use crate::reply::{self, Outcome, Reply, Work};
use crate::request::Request;
use crate::table::{self, Admin, Row};
use crate::{Error, NameService};

/// What a request comes with.
#[derive(Clone, Copy)]
pub(crate) struct With<'a> {
    /// The chain that its burst meets.
    pub(crate) hooks: &'a HookChain,
    /// Tells its calls of hooks from those of others.
    pub(crate) number: u64,
    pub(crate) connection: &'a Arc<Connection>,
}

/// Answers one request; a one-way one is carried out without an answer.
pub(crate) fn answer(
    service: &NameService,
    with: With<'_>,
    command: &RemotingCommand,
    replies: &mut Replies,
) {
    let mark = replies.mark();
    let outcome = carry_out(service, with, command);
    if let Err(error) = &outcome {
        debug!(peer = %with.connection.peer(), code = command.code, %error, "request not carried out");
    }
    if outcome.as_ref().is_ok_and(|reply| reply.after_save) {
        defer_until_saved(service, outcome, command, replies);
    } else if let Ok(Reply { work: Some(work), .. }) = outcome {
        defer_until_done(service, work, command, replies);
    } else {
        let code = reply::write(outcome, command.opaque, replies);
        service.meter.requests.add(command.code, code, 1);
    }
    if command.is_one_way() {
        replies.silence(mark);
    }
}

fn carry_out(service: &NameService, with: With<'_>, command: &RemotingCommand) -> Outcome {
    let With { hooks, number, connection } = with;
    let row = table::row_of(command.code).ok_or(Error::UnknownCode(command.code))?;
    let (len, max) = (command.body.len(), row.body_len_max);
    if len > max {
        return Err(Error::BodyTooLong { len, max, name: request_code::name(row.code) });
    }
    let mut cx = RequestContext::new(connection.peer(), connection.id(), command.code);
    cx.request = number;
    cx.secure = connection.is_secure();
    cx.certificate = connection.certificate();
    if !hooks.is_empty() {
        cx.trace_parent = command.ext.get(TRACE_PARENT).and_then(TraceParent::parse);
    }
    let named = if hooks.has(Point::Authenticate) {
        authenticate(hooks, &cx, command)?
    } else {
        Principal::Anonymous
    };
    if !cx.identify(named, command.ext.get(ACCESS_KEY).unwrap_or_default()) {
        let why = "the access key and the client's certificate are of different users";
        return Err(Error::Refused(Rejection::new(why)));
    }
    if hooks.has(Point::Authorize) {
        pass(hooks.authorize(&cx, &[row.access.of(&command.ext)?]))?;
    }
    if hooks.has(Point::AdminCommand) {
        admit_admin(hooks, &cx, row, &command.ext)?;
    }
    (row.handle)(service, &Request { command, cx: &cx, connection, hooks })
}

fn admit_admin(
    hooks: &HookChain,
    cx: &RequestContext,
    row: &Row,
    ext: &ExtFields,
) -> Result<(), Error> {
    let target = match row.admin {
        Admin::No => return Ok(()),
        Admin::Node => "",
        Admin::About(field) => ext.get(field).unwrap_or_default(),
    };
    pass(hooks.admin_command(cx, &AdminCommand { name: request_code::name(row.code), target }))
}

pub(crate) fn pass(verdict: Verdict) -> Result<(), Error> {
    match verdict {
        Verdict::Continue => Ok(()),
        Verdict::Reject(rejection) => Err(Error::Refused(rejection)),
    }
}

/// Asks the hooks who this is.
fn authenticate(
    hooks: &HookChain,
    cx: &RequestContext,
    command: &RemotingCommand,
) -> Result<Principal, Error> {
    let access_key = command.ext.get(ACCESS_KEY).unwrap_or_default();
    let mut signed = SignedFields::default();
    // What names a field twice has signed nothing that could be right.
    let fields = if access_key.is_empty() { None } else { signed.of(command) };
    let signature = command.ext.get(SIGNATURE).filter(|_| fields.is_some());
    let credentials = Credentials {
        access_key,
        signature: signature.unwrap_or_default(),
        signed_fields: fields.unwrap_or_default(),
        body: &command.body,
    };
    hooks.authenticate(cx, &credentials).map_err(Error::Refused)
}

/// Sends the answer that the work gives.
fn defer_until_done(
    service: &NameService,
    work: Work,
    command: &RemotingCommand,
    replies: &mut Replies,
) {
    let (request, opaque) = (command.code, command.opaque);
    let meter = Arc::clone(&service.meter);
    let (tell, told) = oneshot::channel();
    service.background.run(Box::new(move || {
        // Nobody may be there to hear it: the client has left.
        let _unheard = tell.send(work.run());
    }));
    replies.defer(async move {
        let stopping = || Err(Error::NotSaved(std::io::Error::other("the server stops")));
        let outcome = told.await.unwrap_or_else(|_| stopping());
        let mut replies = Replies::new();
        let code = reply::write(outcome, opaque, &mut replies);
        meter.requests.add(request, code, 1);
        replies
    });
}

/// Sends the answer when the KV configuration is on disk.
fn defer_until_saved(
    service: &NameService,
    outcome: Outcome,
    command: &RemotingCommand,
    replies: &mut Replies,
) {
    let (request, opaque) = (command.code, command.opaque);
    let meter = Arc::clone(&service.meter);
    let (tell, told) = oneshot::channel();
    let kv = Arc::clone(&service.kv);
    service.background.run(Box::new(move || {
        // Nobody may be there to hear it: the client has left.
        let _unheard = tell.send(kv.save());
    }));
    replies.defer(async move {
        let saved = told.await.unwrap_or_else(|_| Err(std::io::Error::other("the server stops")));
        let outcome = outcome.and_then(|reply| saved.map(|()| reply).map_err(Error::NotSaved));
        let mut replies = Replies::new();
        let code = reply::write(outcome, opaque, &mut replies);
        meter.requests.add(request, code, 1);
        replies
    });
}
