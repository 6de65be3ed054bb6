//! A burst of frames on its way to the handlers.

use std::sync::Arc;

use blockhouse_core::Caller;
use blockhouse_hook::{
    Announced, Awaited, ConnectionInfo, Credentials, HookChain, Point, Rejection, Settled, Verdict,
};
use blockhouse_meter::QuotaKind;
use blockhouse_model::trace::{self, TRACE_PARENT};
use blockhouse_model::{Principal, RequestContext, TraceParent};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::signed::{ACCESS_KEY, SIGNATURE, SignedFields};
use blockhouse_requests::stranger;
use blockhouse_transport::{Connection, Refused, Replies, Service, Sessions};

use crate::Remoting;
use crate::allow::allow;
use crate::answers::{Answers, Later};
use crate::call::{Call, OwnedCall};
use crate::handlers::{pull_message, send_message};
use crate::quota::{Full, InFlight, Payer, Quotas, Seat, is_free};
use crate::response::{Answer, Failure, Response};
use crate::subject;
use crate::table::{Handler, Immediate, Row};

/// What a client hears that is two users at once.
const OTHER_USER: &str = "the access key and the client's certificate are of different users";

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
        let counted = (self.broker.clock(), &*self.meter);
        let answers = &mut Answers::now(counted, connection, replies);
        let mut commands = std::mem::take(burst);
        let first =
            if hooks.is_empty() { None } else { Some(self.broker.hooks().number(commands.len())) };
        let mut numbers = first.into_iter().flat_map(|first| first..);
        let mut signed = SignedFields::default();
        // Sends of one principal that follow each other: they go to the core as one call.
        let mut run: Option<Run> = None;
        let mut left = commands.drain(..);
        // Answers are not put together for who does not take them.
        while !answers.replies.is_full()
            && let Some(command) = left.next()
        {
            let Some(row) = self.rows.get(&command.code).copied() else {
                self.finish(&mut run, hooks, answers);
                self.refuse_unknown((connection, hooks), &command, answers);
                continue;
            };
            let number = numbers.next().unwrap_or(0);
            let is_send = matches!(row.handler, Handler::Send);
            if let Some(run) = &mut run
                && is_send
                && run.joins_unasked(&command, hooks)
            {
                run.commands.push(command);
                continue;
            }
            let cx = match context(hooks, connection, number, (&command, &mut signed)) {
                Ok(cx) => cx,
                Err(failure) => {
                    self.finish(&mut run, hooks, answers);
                    let awaited = if row.admin { Awaited::Control } else { Awaited::Login };
                    let recorded = hooks.settled(awaited);
                    self.refuse_once(recorded, &command, failure, answers);
                    continue;
                }
            };
            let seat = match self.seat(connection, &cx) {
                Ok(seat) => seat,
                Err(full) => {
                    self.finish(&mut run, hooks, answers);
                    self.turn_away(
                        connection,
                        Caller { cx: &cx, hooks },
                        (&command, full),
                        answers,
                    );
                    continue;
                }
            };
            if !is_send {
                self.finish(&mut run, hooks, answers);
                let caller = Caller { cx: &cx, hooks };
                self.one((connection, seat.as_deref()), row, caller, command, answers);
                continue;
            }
            match &mut run {
                Some(run) if run.joins(&cx) => run.commands.push(command),
                _ => {
                    self.finish(&mut run, hooks, answers);
                    let is_signed = is_signed(hooks, &command);
                    run = Some(Run { cx, seat, is_signed, commands: vec![command] });
                }
            }
        }
        self.finish(&mut run, hooks, answers);
        let left: Vec<_> = left.collect();
        *burst = if left.is_empty() { commands } else { left };
        self.broker.keep_commits();
    }

    fn vouches(&self) -> bool {
        true
    }
}

/// Whether a request has credentials that somebody looks at.
fn is_signed(hooks: &HookChain, command: &RemotingCommand) -> bool {
    hooks.has(Point::Authenticate) && command.ext.get(ACCESS_KEY).is_some()
}

/// Sends that go to the core together, and the context of the first.
struct Run {
    cx: RequestContext,
    seat: Option<Arc<Seat>>,
    /// Whether they carry credentials, each its own.
    is_signed: bool,
    commands: Vec<RemotingCommand>,
}

impl Run {
    /// Whether a send without credentials belongs to others without: nobody is asked who it is from.
    fn joins_unasked(&self, next: &RemotingCommand, hooks: &HookChain) -> bool {
        !self.is_signed
            && self.cx.trace_parent.is_none()
            && next.code == self.cx.code
            && !is_signed(hooks, next)
            && (hooks.is_empty() || next.ext.get(TRACE_PARENT).is_none())
    }

    /// Whether a send that has proved who it is from belongs to these. Spans are per request.
    fn joins(&self, next: &RequestContext) -> bool {
        self.is_signed
            && next.code == self.cx.code
            && next.principal == self.cx.principal
            && next.principal != Principal::Anonymous
            && next.trace_parent.is_none()
            && self.cx.trace_parent.is_none()
    }
}

/// What stays within quotas, and sends that go on together.
impl Remoting {
    /// Hands on the sends that were put together so far.
    fn finish(&self, run: &mut Option<Run>, hooks: &Arc<HookChain>, answers: &mut Answers<'_>) {
        if let Some(Run { cx, seat, mut commands, .. }) = run.take() {
            let caller = Caller { cx: &cx, hooks };
            let _in_trace = trace::enter(cx.trace_parent.map_or(0, |span| span.trace_id));
            let mut in_flight = None;
            if let Some(quotas) = &self.quotas {
                in_flight = self.take_in(seat.as_deref(), &mut commands, answers);
                self.keep_within(&quotas.payer(&cx), &mut commands, answers);
                if commands.is_empty() {
                    return;
                }
            }
            let run = (commands, in_flight);
            send_message::handle(&self.broker, &self.meter, caller, run, answers);
        }
    }

    /// The seat of this connection, where its user is bounded in what is held at once.
    fn seat(
        &self,
        connection: &Connection,
        cx: &RequestContext,
    ) -> Result<Option<Arc<Seat>>, Full> {
        self.quotas.as_ref().map_or(Ok(None), |quotas| quotas.seat(connection, &cx.principal))
    }

    /// Ends a connection that its user has no room for, once he was told so.
    fn turn_away(
        &self,
        connection: &Connection,
        Caller { cx, hooks }: Caller<'_>,
        (command, full): (&RemotingCommand, Full),
        answers: &mut Answers<'_>,
    ) {
        let reason = full.to_string();
        // What else came with the same burst is refused alike, and was told of already.
        if !connection.is_closed() {
            self.meter.quota_refusals.add(full.kind, 1);
            hooks.mistaken(cx, command.ext.get(ACCESS_KEY).unwrap_or_default(), &reason);
            connection.close();
        }
        self.refuse(command, Failure::new(response_code::SYSTEM_BUSY, reason), answers);
    }

    /// Takes sends in as long as their user has room for them, and refuses those behind.
    fn take_in(
        &self,
        seat: Option<&Seat>,
        run: &mut Vec<RemotingCommand>,
        answers: &mut Answers<'_>,
    ) -> Option<InFlight> {
        let seat = seat?;
        let in_flight = seat.begin(run.len() as u64).ok();
        let count = in_flight.as_ref().map_or(0, InFlight::count);
        let refused = run.split_off(usize::try_from(count).unwrap_or(run.len()).min(run.len()));
        if !refused.is_empty() {
            let full = seat.full();
            self.meter.quota_refusals.add(full.kind, refused.len() as u64);
            let remark = full.to_string();
            send_message::refuse((&self.broker, &self.meter), &refused, &remark, answers);
        }
        in_flight
    }

    /// Takes sends that are beyond a quota out of a run, and refuses them.
    fn keep_within(
        &self,
        payer: &Payer,
        run: &mut Vec<RemotingCommand>,
        answers: &mut Answers<'_>,
    ) {
        let now = self.broker.clock().monotonic();
        let passes = |command: &RemotingCommand| {
            let bytes = command.body.len() as u64;
            payer.take(now, &[(QuotaKind::Requests, 1), (QuotaKind::ProduceBytes, bytes)])
        };
        let first = run.iter().enumerate().find_map(|(at, next)| Some((at, passes(next).err()?)));
        let Some((at, exceeded)) = first else { return };
        // Those behind it as well, even if they are smaller: sends of a connection keep their order.
        let refused = run.split_off(at);
        self.meter.quota_refusals.add(exceeded.kind, refused.len() as u64);
        let remark = exceeded.to_string();
        send_message::refuse((&self.broker, &self.meter), &refused, &remark, answers);
    }

    /// Asks for the quota of a request that is no send; `None`: it was answered.
    fn within(
        &self,
        (quotas, seat): (&Arc<Quotas>, Option<&Seat>),
        row: &Row,
        (caller, command): (Caller<'_>, &RemotingCommand),
        answers: &mut Answers<'_>,
    ) -> Option<Payer> {
        let in_flight = match seat.map(|seat| seat.begin(1)).transpose() {
            Ok(in_flight) => in_flight,
            Err(full) => {
                self.meter.quota_refusals.add(full.kind, 1);
                let busy = Failure::new(response_code::SYSTEM_BUSY, full.to_string());
                self.refuse(command, busy, answers);
                return None;
            }
        };
        let payer = quotas.payer(caller.cx).with(in_flight);
        let is_pull = matches!(row.handler, Handler::Pull);
        let amounts = [(QuotaKind::Requests, 1), (QuotaKind::FetchBytes, 1)];
        let amounts = if is_pull { &amounts[..] } else { &amounts[..1] };
        let now = self.broker.clock().monotonic();
        let Err(exceeded) = payer.take(now, amounts) else { return Some(payer) };
        self.meter.quota_refusals.add(exceeded.kind, 1);
        if is_pull {
            let mark = answers.replies.mark();
            let later = Later::of(answers, (&self.broker, &self.meter), command.code, 1).held();
            pull_message::hold_back(later, (payer, &exceeded), command, answers);
            if command.is_one_way() {
                answers.replies.silence(mark);
            }
        } else {
            let busy = Failure::new(response_code::SYSTEM_BUSY, exceeded.to_string());
            self.refuse(command, busy, answers);
        }
        None
    }
}

/// How requests that are no sends are carried out, or refused.
impl Remoting {
    fn one(
        &self,
        (connection, seat): (&Arc<Connection>, Option<&Seat>),
        row: &Row,
        caller: Caller<'_>,
        command: RemotingCommand,
        answers: &mut Answers<'_>,
    ) {
        let trace_id = subject::trace_of(&command);
        let _in_trace = trace::enter(trace_id);
        let mut payer = None;
        if let Some(quotas) = self.quotas.as_ref().filter(|_| !is_free(row.code)) {
            payer = self.within((quotas, seat), row, (caller, &command), answers);
            if payer.is_none() {
                return;
            }
        }
        let announced = match allow(row, caller, (&command, &*self.node)) {
            Ok(announced) => announced,
            Err(failure) => {
                let recorded =
                    if row.admin { caller.hooks.settled(Awaited::Control) } else { None };
                return self.refuse_once(recorded, &command, failure, answers);
            }
        };
        let (opaque, mark, one_way) =
            (command.opaque, answers.replies.mark(), command.is_one_way());
        // What an admin command asks for is done once the audit has its record.
        let settled = if row.admin { caller.hooks.settled(Awaited::Control) } else { None };
        let admitted = Admitted { settled, announced, payer };
        match row.handler {
            Handler::Send => {}
            Handler::Pull => {
                let asked = (caller, admitted.payer);
                pull_message::handle(&self.broker, &self.meter, asked, &command, answers);
            }
            Handler::Now(handle) => {
                let call = Call {
                    broker: &self.broker,
                    node: &self.node,
                    connection,
                    caller,
                    command: &command,
                };
                if admitted.settled.is_some() {
                    self.after(admitted, &call, handle, answers);
                } else {
                    let done = handle(&call);
                    if let (Some(announced), Err(failure)) = (&admitted.announced, &done) {
                        announced.tell_undone(&failure.remark);
                    }
                    let answered = match &done {
                        Ok(response) => answers.answered(&command, response.code),
                        Err(f) => answers.refused(&command, f.code, &f.remark),
                    };
                    answers.add(answered);
                    done.unwrap_or_else(Response::from).write(opaque, answers.replies);
                }
            }
            Handler::Later(handle) => {
                self.later((admitted, trace_id), (caller, command), handle, answers);
            }
        }
        if one_way {
            answers.replies.silence(mark);
        }
    }

    /// Carries a request out that waits for the disk or another client.
    fn later(
        &self,
        (admitted, trace_id): (Admitted, u128),
        (caller, command): (Caller<'_>, RemotingCommand),
        handle: fn(OwnedCall) -> Answer,
        answers: &mut Answers<'_>,
    ) {
        let opaque = command.opaque;
        let later = Later::of(answers, (&self.broker, &self.meter), command.code, 1);
        let answered = answers.answered(&command, response_code::SUCCESS);
        let call = self.owned(caller, command);
        answers.replies.defer(trace::within(trace_id, async move {
            let done = admitted.carry_out(|| handle(call)).await;
            later.write(|answers| {
                answers.add(match &done {
                    Ok(response) => answered.with(response.code),
                    Err(f) => answers.refused_late(answered, f.code, &f.remark),
                });
                done.unwrap_or_else(Response::from).write(opaque, answers.replies);
            })
        }));
    }

    fn owned(&self, caller: Caller<'_>, command: RemotingCommand) -> OwnedCall {
        OwnedCall {
            broker: Arc::clone(&self.broker),
            meter: Arc::clone(&self.meter),
            node: Arc::clone(&self.node),
            cx: caller.cx.clone(),
            hooks: Arc::clone(caller.hooks),
            command,
        }
    }

    /// Carries a request out that does not wait itself, once the audit has its record.
    fn after(
        &self,
        admitted: Admitted,
        call: &Call<'_>,
        handle: Immediate,
        answers: &mut Answers<'_>,
    ) {
        let (broker, node) = (Arc::clone(call.broker), Arc::clone(call.node));
        let connection = Arc::clone(call.connection);
        let later = Later::of(answers, (&self.broker, &self.meter), call.command.code, 1);
        let (cx, hooks) = (call.caller.cx.clone(), Arc::clone(call.caller.hooks));
        let command = call.command.clone();
        answers.replies.defer(async move {
            let carry_out = || {
                std::future::ready(handle(&Call {
                    broker: &broker,
                    node: &node,
                    connection: &connection,
                    caller: Caller { cx: &cx, hooks: &hooks },
                    command: &command,
                }))
            };
            let done = admitted.carry_out(carry_out).await;
            later.write(|answers| {
                let answered = match &done {
                    Ok(response) => answers.answered(&command, response.code),
                    Err(f) => answers.refused(&command, f.code, &f.remark),
                };
                answers.add(answered);
                done.unwrap_or_else(Response::from).write(command.opaque, answers.replies);
            })
        });
    }

    /// Refuses a request when the audit has the record of that. It stays refused without one.
    fn refuse_once(
        &self,
        recorded: Option<Settled>,
        command: &RemotingCommand,
        failure: Failure,
        answers: &mut Answers<'_>,
    ) {
        let Some(recorded) = recorded.filter(|_| !command.is_one_way()) else {
            return self.refuse(command, failure, answers);
        };
        let answered = answers.refused_unseen(command, failure.code, &failure.remark);
        let later = Later::of(answers, (&self.broker, &self.meter), command.code, 1);
        let opaque = command.opaque;
        answers.replies.defer(async move {
            // Without a record it is refused as well.
            let _is_recorded = recorded.await;
            later.write(|answers| {
                answers.add(answered);
                Response::from(failure).write(opaque, answers.replies);
            })
        });
    }

    fn refuse(&self, command: &RemotingCommand, failure: Failure, answers: &mut Answers<'_>) {
        let answered = answers.refused_unseen(command, failure.code, &failure.remark);
        answers.add(answered);
        if !command.is_one_way() {
            Response::from(failure).write(command.opaque, answers.replies);
        }
    }

    fn refuse_unknown(
        &self,
        (connection, hooks): (&Connection, &HookChain),
        command: &RemotingCommand,
        answers: &mut Answers<'_>,
    ) {
        hooks.unknown(|| stranger(connection, command.code), "");
        let failure = Failure::unsupported(command.code);
        answers.log_refused(command, failure.code, &failure.remark);
        answers.add_unknown(command, failure.code);
        if !command.is_one_way() {
            Response::from(failure).write(command.opaque, answers.replies);
        }
    }
}

fn refusal(rejection: Rejection) -> Failure {
    blockhouse_core::Refusal::from(rejection).into()
}

/// What goes along with a request that is let in.
struct Admitted {
    /// Ends when the audit has its record.
    settled: Option<Settled>,
    /// What is told if nothing comes of it.
    announced: Option<Announced>,
    payer: Option<Payer>,
}

impl Admitted {
    /// Has it carried out once it is recorded. If nothing comes of it, that is recorded as well.
    async fn carry_out<A: Future<Output = Result<Response, Failure>>>(
        self,
        carry_out: impl FnOnce() -> A,
    ) -> Result<Response, Failure> {
        // Counted as in flight until it is done.
        let Self { settled, announced, payer: _payer } = self;
        if let Some(settled) = settled {
            settled.await.map_err(refusal)?;
        }
        let done = carry_out().await;
        let why = done.as_ref().err().map(|failure| failure.remark.clone());
        let recorded = announced.zip(why).and_then(|(announced, why)| announced.undone(&why));
        if let Some(recorded) = recorded {
            // Without a record nothing has come of it either.
            let _is_recorded = recorded.await;
        }
        done
    }
}

impl Sessions for Remoting {
    fn opened(&self, connection: &Arc<Connection>) -> bool {
        let hooks = self.broker.hooks().load();
        hooks.connection_opened(&info(connection)) == Verdict::Continue
    }

    fn closed(&self, connection: &Arc<Connection>) {
        if let Some(seat) = connection.kept().and_then(|kept| kept.downcast::<Seat>().ok()) {
            seat.leave();
        }
        self.broker.clients().closed(connection.id());
        self.broker.hooks().load().connection_closed(&info(connection));
    }

    fn refused(&self, connection: &Connection, what: Refused, why: &dyn std::fmt::Display) {
        self.broker.hooks().load().shut(&info(connection), what.name(), why);
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

/// Who asks: the connection, and the principal that the request's credentials prove.
fn context(
    hooks: &HookChain,
    connection: &Connection,
    number: u64,
    (command, signed): (&RemotingCommand, &mut SignedFields),
) -> Result<RequestContext, Failure> {
    let mut cx = RequestContext::new(connection.peer(), connection.id(), command.code);
    cx.request = number;
    cx.secure = connection.is_secure();
    cx.certificate = connection.certificate();
    if !hooks.is_empty() {
        cx.trace_parent = command.ext.get(TRACE_PARENT).and_then(TraceParent::parse);
    }
    if hooks.wants_client_id() {
        cx.client_id = connection.client_id();
    }
    let mut named = Principal::Anonymous;
    let access_key = command.ext.get(ACCESS_KEY).unwrap_or_default();
    if hooks.has(Point::Authenticate) {
        // What names a field twice has signed nothing that could be right.
        let fields = if access_key.is_empty() { None } else { signed.of(command) };
        let signature = command.ext.get(SIGNATURE).filter(|_| fields.is_some());
        let credentials = Credentials {
            access_key,
            signature: signature.unwrap_or_default(),
            signed_fields: fields.unwrap_or_default(),
            body: &command.body,
        };
        named = hooks.authenticate(&cx, &credentials).map_err(refusal)?;
    }
    if !cx.identify(named, access_key) {
        hooks.mistaken(&cx, access_key, OTHER_USER);
        return Err(Failure::new(response_code::NO_PERMISSION, OTHER_USER));
    }
    connection.vouch();
    Ok(cx)
}
