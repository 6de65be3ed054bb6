//! The control API of policies.

use std::sync::Arc;

use blockhouse_authz::{Files, Keeper, Refused, Report};
use blockhouse_model::{Access, Action, RequestContext, Resource};
use blockhouse_ops::{Call, Change, Handler, Reply, Row};
use hyper::StatusCode;
use hyper::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Policies;
use crate::process::ops::is_known_or_near;

/// Most bytes of a set; larger ones are put into the node's directory.
pub(crate) const BODY_MAX: usize = 64 << 20;

/// What is to come into force.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyRequest {
    pub(crate) files: Files,
    /// Do everything but put it in force.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// All rows; without policies they say that there are none.
pub(in crate::process) fn rows(policies: Option<&Arc<Policies>>, remote: bool) -> Vec<Row> {
    let look = |path, look: fn(&Keeper) -> Reply| {
        let policies = policies.cloned();
        let handler = Handler::Look(Box::new(move |_| match &policies {
            Some(policies) => look(&policies.keeper),
            None => off(),
        }));
        row(path, Method::GET, Action::Get, handler)
    };
    let change = |path, make: fn(&Policies, &Call) -> Reply| {
        let policies = policies.cloned();
        let make = Box::new(move |call: &Call| match &policies {
            Some(policies) => make(policies, call),
            None => off(),
        });
        let refuse = Box::new(move |context: &RequestContext| refuse(context, remote));
        let judge = Box::new(|_: &Call| None);
        let change = Change { body_max: BODY_MAX, refuse, judge, make };
        let handler = Handler::Change(Arc::new(change));
        row(path, Method::POST, Action::Update, handler)
    };
    vec![
        look("/v1/policy", |keeper| answer(Ok(keeper.report()))),
        look("/v1/policy/files", |keeper| Reply::ok(json!({ "files": keeper.files() }))),
        change("/v1/policy/apply", apply),
        change("/v1/policy/rollback", |policies, call| {
            answer(policies.change("policy-rollback", call.caller.as_ref(), Keeper::roll_back))
        }),
        change("/v1/policy/reload", |policies, call| {
            answer(policies.change("policy-reload", call.caller.as_ref(), Keeper::reload))
        }),
    ]
}

const fn row(path: &'static str, method: Method, action: Action, handler: Handler) -> Row {
    Row { path, method, access: Access { action, resource: Resource::Policy }, handler }
}

fn off() -> Reply {
    let text = "policies are switched off on this node (authz.enabled = false)";
    Reply::refusal(StatusCode::CONFLICT, "off", text)
}

/// Where nobody is asked who he is, it counts from where he asks.
pub(super) fn refuse(context: &RequestContext, remote: bool) -> Option<String> {
    let ip = context.peer.ip().to_canonical();
    (!remote && !is_known_or_near(context)).then(|| {
        format!(
            "policies are changed from this host only, and you ask from {ip}: run the command there, or ask over TLS as a user (ops.tls, authn.enabled), or set authz.remote_changes = true if everyone who reaches this port and whom the policies allow it may change them"
        )
    })
}

fn apply(policies: &Policies, call: &Call) -> Reply {
    let request = match serde_json::from_slice::<ApplyRequest>(&call.body) {
        Ok(request) => request,
        Err(error) => {
            let text = format!("the request is not understood: {error}");
            return Reply::refusal(StatusCode::BAD_REQUEST, "request", &text);
        }
    };
    let ApplyRequest { files, dry_run } = request;
    // The names have not been looked at yet.
    let files = match Files::new(files.all().to_vec()) {
        Ok(files) => files,
        Err(refused) => return answer(Err(refused)),
    };
    if dry_run {
        return answer(policies.keeper.apply(&files, true));
    }
    answer(
        policies.change("policy-apply", call.caller.as_ref(), |keeper| keeper.apply(&files, false)),
    )
}

fn answer(made: Result<Report, Refused>) -> Reply {
    match made {
        Ok(report) => Reply::ok(serde_json::to_value(report).unwrap_or(Value::Null)),
        Err(refused) => {
            let mut reply =
                Reply::refusal(StatusCode::UNPROCESSABLE_ENTITY, "refused", &refused.to_string());
            reply.body["problems"] = serde_json::to_value(&refused.problems).unwrap_or(Value::Null);
            reply
        }
    }
}
