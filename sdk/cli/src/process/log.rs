//! The log: which requests stand there, and its level, over the control API.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_hook::{AdminCommand, Auditor};
use blockhouse_meter::LoggedRequests;
use blockhouse_model::{Access, Action, Clock, RequestContext, Resource};
use blockhouse_ops::{Call, Change, Handler, Reply, Row};
use blockhouse_service::Tasks;
use blockhouse_service::log::{Config, Level, LevelError, Now};
use hyper::StatusCode;
use hyper::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Shared;
use super::ops::{is_known_or_near, tell};

/// Longest time of a level that ends by itself: a week.
const LASTS_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Most bytes of a change.
const BODY_MAX: usize = 4 << 10;

/// A level that is wanted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LevelRequest {
    /// As `log.level` has it; without it, the configured one.
    pub(crate) level: Option<String>,
    /// After so many milliseconds the configured one is back.
    #[serde(default)]
    pub(crate) for_ms: Option<u64>,
}

/// The level in force.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LevelAnswer {
    pub(crate) level: String,
    pub(crate) configured: String,
    /// In so many milliseconds the configured one is back.
    pub(crate) ends_in_ms: Option<u64>,
}

struct Log {
    level: Arc<Level>,
    clock: Arc<dyn Clock>,
    auditor: Arc<Auditor>,
    tasks: Tasks,
}

/// Which requests are logged.
pub(super) fn requests(config: &Config) -> LoggedRequests {
    let slow = Some(Duration::from_millis(config.slow_ms)).filter(|slow| !slow.is_zero());
    LoggedRequests { slow, refused: config.refusals }
}

/// Looks at the level, and changes it.
pub(super) fn rows(level: &Arc<Level>, shared: &Shared) -> Vec<Row> {
    let log = Arc::new(Log {
        level: Arc::clone(level),
        clock: Arc::clone(&shared.clock),
        auditor: Arc::clone(&shared.auditor),
        tasks: shared.tasks.child("log"),
    });
    let looked = Arc::clone(&log);
    let make = Box::new(move |call: &Call| log.change(call));
    let (refuse, judge) = (Box::new(refuse), Box::new(|_: &Call| None));
    let change = Change { body_max: BODY_MAX, refuse, judge, make };
    let row = |method, action, handler| Row {
        path: "/v1/log",
        method,
        access: Access { action, resource: Resource::Cluster },
        handler,
    };
    vec![
        row(Method::GET, Action::Get, Handler::Look(Box::new(move |_| looked.answer()))),
        row(Method::POST, Action::Update, Handler::Change(Arc::new(change))),
    ]
}

impl Log {
    fn answer(&self) -> Reply {
        let Now { level, until } = self.level.now();
        let left = |until: Duration| until.saturating_sub(self.clock.monotonic()).as_millis();
        let answer = LevelAnswer {
            level,
            configured: self.level.configured().to_owned(),
            ends_in_ms: until.map(|until| u64::try_from(left(until)).unwrap_or(u64::MAX)),
        };
        Reply::ok(json!(answer))
    }

    fn change(&self, call: &Call) -> Reply {
        let bad = |text: &str| Reply::refusal(StatusCode::BAD_REQUEST, "request", text);
        let LevelRequest { level, for_ms } = match serde_json::from_slice(&call.body) {
            Ok(request) => request,
            Err(error) => return bad(&format!("the request is not understood: {error}")),
        };
        let lasts = for_ms.map(Duration::from_millis);
        if lasts.is_some_and(|lasts| lasts.is_zero() || lasts > LASTS_MAX) {
            return bad("a level that ends by itself lasts for a week at most");
        }
        let made = match &level {
            Some(level) => self.set(level, lasts),
            None => self.level.reset(),
        };
        let why = made.as_ref().err().map(ToString::to_string);
        let target = level.as_deref().unwrap_or("configured");
        let command = AdminCommand { name: "log-level", target };
        tell(&self.auditor, call.caller.as_ref(), command, why.as_deref());
        match made {
            Ok(()) => {
                tracing::warn!("log level {} from now on", self.level.now().level);
                self.answer()
            }
            Err(error @ LevelError::Bad(_)) => bad(&error.to_string()),
            Err(error) => Reply::refusal(StatusCode::CONFLICT, "failed", &error.to_string()),
        }
    }

    fn set(&self, level: &str, lasts: Option<Duration>) -> Result<(), LevelError> {
        let Some(lasts) = lasts else { return self.level.set(level, None) };
        let until = self.clock.monotonic() + lasts;
        self.level.set(level, Some(until))?;
        let (level, mut shutdown) = (Arc::clone(&self.level), self.tasks.shutdown());
        self.tasks.spawn("level", async move {
            // One that was set meanwhile has an end of its own, which is not reached by now.
            if shutdown.wait(lasts).await && level.expire(until) {
                tracing::warn!("log level {} again", level.now().level);
            }
        });
        Ok(())
    }
}

fn refuse(context: &RequestContext) -> Option<String> {
    let ip = context.peer.ip().to_canonical();
    (!is_known_or_near(context)).then(|| {
        format!(
            "the log's level is changed from this host only, and you ask from {ip}: run the command there, or ask over TLS as a user (ops.tls, authn.enabled)"
        )
    })
}
