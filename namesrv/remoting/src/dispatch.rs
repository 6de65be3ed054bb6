//! From a request to its answer: look up, authenticate, authorize, handle, write.

use std::sync::Arc;

use blockhouse_hook::{
    AdminCommand, Announced, Awaited, Credentials, HookChain, Point, Rejection, Settled, Verdict,
};
use blockhouse_model::trace::TRACE_PARENT;
use blockhouse_model::{Principal, RequestContext, TraceParent};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::signed::{ACCESS_KEY, SIGNATURE, SignedFields};
use blockhouse_requests::{Answers, stranger};
use blockhouse_transport::Connection;
use tokio::sync::oneshot;
use tracing::debug;

use crate::reply::{self, Outcome, Reply, Work};
use crate::request::Request;
use crate::table::{self, Admin, Needs, Row};
use crate::traced::{Ended, Traced, Waiting};
use crate::{Error, NameService, status, subject};

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
    answers: &mut Answers<'_>,
) {
    let mark = answers.replies.mark();
    let traced = Traced::begin(&service.meter, with.hooks);
    let (mut who, mut undone) = (Principal::Anonymous, None);
    let outcome = carry_out(service, with, command, (&mut who, &mut undone));
    if let Err(error) = &outcome {
        debug!(peer = %with.connection.peer(), code = command.code, %error, "request not carried out");
    }
    if let (Some(undone), Err(error)) = (&undone, &outcome) {
        undone.tell_undone(&error.to_string());
    }
    let settled = settled(with.hooks, command, outcome.as_ref().err());
    let undone = undone.filter(|_| outcome.is_ok());
    let after_save = outcome.as_ref().is_ok_and(|reply| reply.after_save);
    if let Ok(Reply { work: Some(work), .. }) = outcome {
        let done = do_later(service, work);
        let traced = traced.map(|traced| traced.later(command, who));
        let ended = async { recorded(told(done).await, settled, undone) };
        defer(service, (command, traced), answers, ended);
    } else if after_save || settled.is_some() {
        let saved = after_save.then(|| save(service));
        let traced = traced.map(|traced| traced.later(command, who));
        let ended = async { recorded(saved_then(saved, outcome).await, settled, undone) };
        defer(service, (command, traced), answers, ended);
    } else {
        let ended = || Ended::at(answers.asked(), &*service.clock, &outcome);
        let span = traced.and_then(|traced| traced.end(command, &who, &ended()));
        count(command, &outcome, answers, span);
        reply::write(outcome, command.opaque, answers.replies);
    }
    if command.is_one_way() {
        answers.replies.silence(mark);
    }
}

/// Counts a request that is answered now.
fn count(
    command: &RemotingCommand,
    outcome: &Outcome,
    answers: &mut Answers<'_>,
    span: Option<TraceParent>,
) {
    let code = outcome.as_ref().err().map_or(response_code::SUCCESS, status::response_code);
    match outcome {
        Err(error @ Error::UnknownCode(_)) => {
            answers.log_refused(command, code, &error.to_string());
            answers.add_unknown(command, code);
        }
        outcome => {
            let answered = subject::answered(answers, command, code);
            let answered = match outcome {
                Ok(_) => answered,
                Err(error) => {
                    let reason = error.to_string();
                    if is_told(error) {
                        answers.log_refused(command, code, &reason);
                    }
                    answers.because(answered, &reason)
                }
            };
            answers.add(answered);
            if let Some(span) = span {
                answers.recorded(answered, span);
            }
        }
    }
}

/// Whether a refusal is worth a line: clients ask every few seconds for routes of topics that are not there.
const fn is_told(error: &Error) -> bool {
    !matches!(error, Error::NoRoute(_))
}

fn carry_out(
    service: &NameService,
    with: With<'_>,
    command: &RemotingCommand,
    (who, undone): (&mut Principal, &mut Option<Announced>),
) -> Outcome {
    let With { hooks, number, connection } = with;
    let Some(row) = table::row_of(command.code) else {
        hooks.unknown(|| stranger(connection, command.code), "");
        return Err(Error::UnknownCode(command.code));
    };
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
        hooks.mistaken(&cx, command.ext.get(ACCESS_KEY).unwrap_or_default(), why);
        return Err(Error::NotAuthenticated(Rejection::new(why)));
    }
    who.clone_from(&cx.principal);
    connection.vouch();
    if hooks.has(Point::Authorize) {
        pass(hooks.authorize(&cx, &[row.access.of(&command.ext)?]))?;
    }
    if let Some(admin) = row.command(&command.ext).filter(|_| hooks.has(Point::AdminCommand)) {
        administered(service, (hooks, &cx), (row, &admin))?;
        pass(hooks.admin_command(&cx, &admin))?;
        let announced =
            || service.hooks.load_full().announced(&cx, request_code::name(row.code), admin.target);
        *undone = row.changes().then(announced).flatten();
    }
    (row.handle)(service, &Request { command, cx: &cx, connection, hooks })
}

/// Users are not for everybody to administer, also where nobody stands at authorize.
fn administered(
    service: &NameService,
    (hooks, cx): (&HookChain, &RequestContext),
    (row, command): (&Row, &AdminCommand<'_>),
) -> Result<(), Error> {
    let is_about_users = matches!(row.access, Needs::User(_));
    let Some(users) = service.users.as_ref().filter(|_| is_about_users) else { return Ok(()) };
    users.administered(&cx.principal, hooks).map_err(|error| {
        hooks.not_changed(cx, command, &error.to_string());
        error.into()
    })
}

/// What became of a change, and the record that its answer waits for: if that is nothing, the one of that.
fn recorded(
    outcome: Outcome,
    settled: Option<Settled>,
    undone: Option<Announced>,
) -> (Outcome, Option<Settled>) {
    match (&outcome, undone) {
        (Err(error), Some(undone)) => {
            let record = undone.undone(&error.to_string());
            (outcome, record)
        }
        _ => (outcome, settled),
    }
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
    hooks.authenticate(cx, &credentials).map_err(Error::NotAuthenticated)
}

/// Ends when the audit has the record of what was done or refused; `None` if there is nothing to wait for.
fn settled(
    hooks: &HookChain,
    command: &RemotingCommand,
    refused: Option<&Error>,
) -> Option<Settled> {
    let row = table::row_of(command.code)?;
    let awaited = match refused {
        _ if row.admin != Admin::No => Awaited::Control,
        // Nobody hears what a refused one-way request might wait for.
        _ if command.is_one_way() => return None,
        _ if row.code == request_code::REGISTER_BROKER => Awaited::Registration,
        Some(Error::NotAuthenticated(_)) => Awaited::Login,
        _ => return None,
    };
    hooks.settled(awaited)
}

/// Has the work done in the background; ends with its outcome.
fn do_later(service: &NameService, work: Work) -> oneshot::Receiver<Outcome> {
    let (tell, told) = oneshot::channel();
    service.background.run(Box::new(move || {
        // Nobody may be there to hear it: the client has left.
        let _unheard = tell.send(work.run());
    }));
    told
}

async fn told(done: oneshot::Receiver<Outcome>) -> Outcome {
    let stopping = || Err(Error::NotSaved(std::io::Error::other("the server stops")));
    done.await.unwrap_or_else(|_| stopping())
}

/// Ends when the KV configuration is on disk.
type Saved = oneshot::Receiver<std::io::Result<()>>;

fn save(service: &NameService) -> Saved {
    let (tell, told) = oneshot::channel();
    let kv = Arc::clone(&service.kv);
    service.background.run(Box::new(move || {
        // Nobody may be there to hear it: the client has left.
        let _unheard = tell.send(kv.save());
    }));
    told
}

async fn saved_then(saved: Option<Saved>, outcome: Outcome) -> Outcome {
    let Some(saved) = saved else { return outcome };
    let saved = saved.await.unwrap_or_else(|_| Err(std::io::Error::other("the server stops")));
    outcome.and_then(|reply| saved.map(|()| reply).map_err(Error::NotSaved))
}

/// Sends the answer when what it promises is on disk, the audit's record of it as well.
fn defer(
    service: &NameService,
    (command, traced): (&RemotingCommand, Option<Waiting>),
    answers: &mut Answers<'_>,
    outcome: impl Future<Output = (Outcome, Option<Settled>)> + Send + 'static,
) {
    let answered = subject::answered(answers, command, response_code::SUCCESS);
    let (asked, opaque) = (answers.asked(), command.opaque);
    let (clock, meter) = (Arc::clone(&service.clock), Arc::clone(&service.meter));
    answers.replies.defer(async move {
        let (mut outcome, settled) = outcome.await;
        if let Some(settled) = settled {
            let settled = settled.await;
            outcome = outcome.and_then(|reply| settled.map(|()| reply).map_err(Error::Refused));
        }
        asked.write_late((&*clock, &*meter), |answers| {
            let ended = || Ended::at(asked, &*clock, &outcome);
            let span =
                traced.zip(meter.spans()).and_then(|(traced, spans)| traced.end(spans, &ended()));
            let answered = match &outcome {
                Ok(_) => answered,
                Err(error) => {
                    let code = status::response_code(error);
                    answers.refused_late(answered, code, &error.to_string())
                }
            };
            answers.add(answered);
            if let Some(span) = span {
                answers.recorded(answered, span);
            }
            reply::write(outcome, opaque, answers.replies);
        })
    });
}
