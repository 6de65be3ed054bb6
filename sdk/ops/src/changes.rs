//! Changes: read, judged, told, made and answered, in this order.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_hook::{AdminCommand, Awaited, Decided, Outcome, Subject};
use blockhouse_model::RequestContext;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use hyper::http::Method;
use tokio::sync::OwnedSemaphorePermit;

use crate::listener::{Shared, failed, refusal_recorded, settled};
use crate::{Call, Change, Reply};

/// How long a client may take to send a request's body.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// Who asked for a change, and for which.
pub(crate) struct Asked<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) context: &'a RequestContext,
    /// The method and the path.
    pub(crate) command: &'a str,
}

impl Asked<'_> {
    /// Reads the body, and makes the change if it may be made. The audit is told that it is once nothing is left
    /// to refuse it.
    pub(crate) async fn change(&self, change: Arc<Change>, call: Call, body: Incoming) -> Reply {
        // It is never closed.
        let changes = Arc::clone(&self.shared.changes);
        let Ok(turn) = changes.acquire_owned().await else { return failed() };
        let body = match read(body, change.body_max).await {
            Ok(body) => body,
            Err(reply) => return self.not_made(reply).await,
        };
        let call = Arc::new(Call { body, ..call });
        let judged = judged(turn, Arc::clone(&change), Arc::clone(&call)).await;
        let Some((turn, refused)) = judged else { return self.not_made(failed()).await };
        if let Some(reply) = refused {
            return self.not_made(reply).await;
        }
        self.announce();
        if let Err(why) = self.settled().await {
            return unrecorded(&why);
        }
        let reply = made(turn, change, call).await;
        if reply.status == StatusCode::BAD_REQUEST {
            // What it says is found not to be understood where it is made: nothing has come of it.
            self.tell(Outcome::Failed, &reply);
        }
        match self.settled().await {
            Ok(()) => reply,
            Err(why) => unrecorded(&format!("{why}; what was asked for may have been done")),
        }
    }

    /// Tells the audit who wants to change what; it is changed once that is recorded. Plugins are not asked: they
    /// could not be taken out any more.
    fn announce(&self) {
        if let Some(auditor) = self.shared.parts.hooks.auditor() {
            let command = AdminCommand { name: self.command, target: "" };
            let decided = Decided { outcome: Outcome::Allowed, by: "", shadow: false, reason: "" };
            auditor.tell(Subject::Announced(self.context, &command), decided);
        }
    }

    /// The answer to what is not done, once that is recorded.
    async fn not_made(&self, reply: Reply) -> Reply {
        // Who denied it has told so.
        if reply.status != StatusCode::FORBIDDEN {
            self.tell(Outcome::Refused, &reply);
        }
        refusal_recorded(self.shared, &Method::POST).await;
        reply
    }

    /// Tells the audit of a change that was not made, with the answer's sentence.
    fn tell(&self, outcome: Outcome, reply: &Reply) {
        if let Some(auditor) = self.shared.parts.hooks.auditor() {
            let command = AdminCommand { name: self.command, target: "" };
            let reason = reply.body["error"].as_str().unwrap_or_default();
            let decided = Decided { outcome, by: "", shadow: false, reason };
            auditor.tell(Subject::Admin(self.context, &command), decided);
        }
    }

    /// Waits until what was told is recorded.
    async fn settled(&self) -> Result<(), String> {
        match settled(self.shared, Awaited::Control) {
            Some(settled) => settled.await.map_err(|rejection| rejection.reason.into_owned()),
            None => Ok(()),
        }
    }
}

async fn read(body: Incoming, body_max: usize) -> Result<Bytes, Reply> {
    let limited = Limited::new(body, body_max).collect();
    match tokio::time::timeout(BODY_PATIENCE, limited).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("the body has more than {body_max} bytes");
            Err(Reply::refusal(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &text))
        }
        Ok(Err(error)) => {
            let text = format!("the body did not come: {error}");
            Err(Reply::refusal(StatusCode::BAD_REQUEST, "body", &text))
        }
        Err(_) => {
            let text = "the body did not come in time";
            Err(Reply::refusal(StatusCode::REQUEST_TIMEOUT, "body", text))
        }
    }
}

/// What is to be answered instead of making it. It is judged beside the workers, and the next one waits for it,
/// whether the client is still there or not.
async fn judged(
    turn: OwnedSemaphorePermit,
    change: Arc<Change>,
    call: Arc<Call>,
) -> Option<(OwnedSemaphorePermit, Option<Reply>)> {
    let judged = tokio::task::spawn_blocking(move || {
        let refused = (change.judge)(&call);
        (turn, refused)
    });
    judged.await.ok()
}

/// A client that goes away does not stop it halfway, and the next one waits for it.
async fn made(turn: OwnedSemaphorePermit, change: Arc<Change>, call: Arc<Call>) -> Reply {
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        (change.make)(&call)
    });
    made.await.unwrap_or_else(|_| failed())
}

fn unrecorded(why: &str) -> Reply {
    Reply::refusal(StatusCode::SERVICE_UNAVAILABLE, "audit", why)
}
