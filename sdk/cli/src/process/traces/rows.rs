//! The control API of what is recorded as spans.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_meter::Spans;
use blockhouse_meter::spans::{Rules, Tuned};
use blockhouse_model::{Access, Action, Clock, RequestContext, Resource};
use blockhouse_ops::{Call, Change, Handler, Reply, Row};
use hyper::StatusCode;
use hyper::http::Method;
use serde::{Deserialize, Serialize};

use crate::process::Shared;
use crate::process::ops::is_known_or_near;

const PATH: &str = "/v1/telemetry/traces";
const BODY_MAX: usize = 64 << 10;
/// Longest time that other rules are in force: a day.
const MINUTES_MAX: u64 = 24 * 60;

/// What is recorded of what carries no decision of its own.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Knobs {
    pub(crate) head_ratio: f64,
    /// 0: nothing is slow.
    pub(crate) slow_ms: u64,
    pub(crate) errors: bool,
}

/// What is in force.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Sampling {
    pub(crate) now: Knobs,
    /// What is in force when the time of others is over.
    pub(crate) configured: Knobs,
    /// How long that is; `None` where nothing else is in force.
    pub(crate) seconds_left: Option<u64>,
}

/// Other knobs for a while; those that are absent stay as they are configured. None at all ends it.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TuneRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) head_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slow_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) errors: Option<bool>,
    /// For so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) minutes: Option<u64>,
}

/// All rows; without a collector they say that there are no traces.
pub(in crate::process) fn rows(shared: &Shared) -> Vec<Row> {
    let (spans, clock) = (shared.meter.spans().cloned(), Arc::clone(&shared.clock));
    let look = move |_: &Call| spans.as_ref().map_or_else(off, |spans| in_force(spans, &*clock));
    let (spans, clock) = (shared.meter.spans().cloned(), Arc::clone(&shared.clock));
    let make = move |call: &Call| match &spans {
        Some(spans) => tune(spans, &*clock, call),
        None => off(),
    };
    let refuse = Box::new(|context: &RequestContext| {
        (!is_known_or_near(context)).then(|| {
            let ip = context.peer.ip();
            format!("sampling is changed from this host only, and you ask from {ip}: run the command there, or ask over TLS as a user (ops.tls, authn.enabled)")
        })
    });
    let judge = Box::new(|_: &Call| None);
    let change = Change { body_max: BODY_MAX, refuse, judge, make: Box::new(make) };
    let row = |method, action, handler| {
        let access = Access { action, resource: Resource::Cluster };
        Row { path: PATH, method, access, handler }
    };
    vec![
        row(Method::GET, Action::Get, Handler::Look(Box::new(look))),
        row(Method::POST, Action::Update, Handler::Change(Arc::new(change))),
    ]
}

fn off() -> Reply {
    let text = "there are no traces on this node (telemetry.traces.endpoint is empty)";
    Reply::refusal(StatusCode::CONFLICT, "off", text)
}

fn in_force(spans: &Spans, clock: &dyn Clock) -> Reply {
    let tuned = spans.tuned();
    let configured = spans.configured();
    let sampling = Sampling {
        now: knobs(tuned.map_or(configured, |tuned| tuned.rules)),
        configured: knobs(configured),
        seconds_left: tuned.map(|tuned| tuned.until.saturating_sub(clock.monotonic()).as_secs()),
    };
    Reply::ok(serde_json::to_value(sampling).unwrap_or_default())
}

fn tune(spans: &Spans, clock: &dyn Clock, call: &Call) -> Reply {
    let asked = serde_json::from_slice::<TuneRequest>(&call.body).map_err(|e| e.to_string());
    match asked.and_then(|asked| tuned(&asked, spans.configured(), clock.monotonic())) {
        Ok(tuned) => {
            spans.tune(tuned);
            if let Some(Tuned { rules, .. }) = tuned {
                let Knobs { head_ratio, slow_ms, errors } = knobs(rules);
                tracing::info!(head_ratio, slow_ms, errors, "traces are sampled otherwise for now");
            } else {
                tracing::info!("traces are sampled as configured again");
            }
            in_force(spans, clock)
        }
        Err(problem) => {
            let text = format!("the request is not understood: {problem}");
            Reply::refusal(StatusCode::BAD_REQUEST, "request", &text)
        }
    }
}

fn tuned(asked: &TuneRequest, configured: Rules, now: Duration) -> Result<Option<Tuned>, String> {
    let TuneRequest { head_ratio, slow_ms, errors, minutes } = *asked;
    let is_end = head_ratio.is_none() && slow_ms.is_none() && errors.is_none();
    let minutes = match minutes {
        None if is_end => return Ok(None),
        Some(minutes) if !is_end && (1..=MINUTES_MAX).contains(&minutes) => minutes,
        _ => return Err(format!("`minutes` must be 1 to {MINUTES_MAX}, with something to change")),
    };
    let head = head_ratio.unwrap_or(configured.head);
    if !(0.0..=1.0).contains(&head) {
        return Err("`head_ratio` must be from 0 to 1".to_owned());
    }
    let slow = slow_ms.map_or(configured.slow, |ms| {
        Some(Duration::from_millis(ms)).filter(|slow| !slow.is_zero())
    });
    let rules = Rules { head, slow, errors: errors.unwrap_or(configured.errors) };
    Ok(Some(Tuned { rules, until: now.saturating_add(Duration::from_secs(minutes * 60)) }))
}

fn knobs(rules: Rules) -> Knobs {
    let slow = rules.slow.unwrap_or_default();
    Knobs {
        head_ratio: rules.head,
        slow_ms: u64::try_from(slow.as_millis()).unwrap_or(u64::MAX),
        errors: rules.errors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: Rules =
        Rules { head: 0.25, slow: Some(Duration::from_millis(500)), errors: true };

    fn asked(json: &str) -> Result<Option<Tuned>, String> {
        let request = serde_json::from_str(json).map_err(|error| error.to_string())?;
        tuned(&request, CONFIGURED, Duration::from_secs(7))
    }

    #[test]
    fn what_is_not_named_stays_as_it_is_configured() {
        let found = asked(r#"{"head_ratio": 1, "minutes": 10}"#).unwrap().unwrap();
        assert_eq!(found.rules, Rules { head: 1.0, ..CONFIGURED });
        assert_eq!(found.until, Duration::from_secs(607));
        let found = asked(r#"{"slow_ms": 0, "errors": false, "minutes": 1440}"#).unwrap().unwrap();
        assert_eq!(found.rules, Rules { slow: None, errors: false, ..CONFIGURED });
        assert_eq!(asked("{}"), Ok(None));
    }

    #[test]
    fn what_never_ends_or_is_no_ratio_is_refused() {
        for json in [
            r#"{"head_ratio": 1}"#,
            r#"{"minutes": 5}"#,
            r#"{"errors": true, "minutes": 0}"#,
            r#"{"errors": true, "minutes": 1441}"#,
            r#"{"head_ratio": 1.5, "minutes": 1}"#,
            r#"{"slow_ms": -1, "minutes": 1}"#,
            r#"{"ratio": 1, "minutes": 1}"#,
            "",
        ] {
            assert!(asked(json).is_err(), "{json}");
        }
    }
}
