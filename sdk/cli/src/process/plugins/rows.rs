//! The control API of plugins.

use std::sync::Arc;

use blockhouse_host::{
    Binding, Changing, Deploy, Error, Host, Report, Status, Terms, TraceRequest,
};
use blockhouse_model::{Access, Action, RequestContext, Resource};
use blockhouse_ops::{Call, Change, Handler, Reply, Row};
use blockhouse_package::{Signatures, component};
use hyper::StatusCode;
use hyper::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::plugin::cases;
use crate::process::ops::is_known_or_near;

/// Most bytes of a change that is no component: bindings and cases.
const BODY_MAX: usize = 16 << 20;
/// Most plugins of one change.
const PLUGINS_MAX: usize = 64;
/// Lines of one answer.
const LINES_MAX: usize = 1_000;

/// What is to be deployed, all of it at once.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeployRequest {
    pub(crate) plugins: Vec<Wanted>,
    /// Take what was rejected before.
    #[serde(default)]
    pub(crate) force: bool,
    /// Do everything but put it in force.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// One plugin. Its component is on the node already.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binding: Option<Binding>,
    /// The lines of a file of signatures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signatures: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cases: Vec<CaseFile>,
}

/// A file of golden cases.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseFile {
    pub(crate) file: String,
    pub(crate) text: String,
}

/// Which plugin.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    pub(crate) name: String,
}

/// All rows; without a host they say that plugins are switched off.
pub(in crate::process) fn rows(host: Option<&Arc<Host>>, remote: bool) -> Vec<Row> {
    let look = |path, look: fn(&Host, &Call) -> Reply, nothing: fn() -> Reply| {
        let host = host.cloned();
        let handler = Handler::Look(Box::new(move |call| match &host {
            Some(host) => look(host, call),
            None => nothing(),
        }));
        row(path, Method::GET, Action::Get, handler)
    };
    let change = |path, method, body_max, make: fn(&Host, &Call) -> Reply| {
        let host = host.cloned();
        let make = Box::new(move |call: &Call| match &host {
            Some(host) => make(host, call),
            None => off(),
        });
        let refuse = Box::new(move |context: &RequestContext| refuse(context, remote));
        let handler = Handler::Change(Arc::new(Change { body_max, refuse, make }));
        row(path, method, Action::Update, handler)
    };
    let component_max = usize::try_from(component::SIZE_MAX).unwrap_or(usize::MAX);
    vec![
        look("/v1/plugins", list, || Reply::ok(json!({ "generation": 0, "plugins": [] }))),
        look("/v1/plugins/*/logs", logs, off),
        look("/v1/plugins/trace", traced, off),
        change("/v1/plugins/trace", Method::POST, BODY_MAX, trace),
        change("/v1/plugins/components", Method::PUT, component_max, put),
        change("/v1/plugins/deploy", Method::POST, BODY_MAX, deploy),
        change("/v1/plugins/rollback", Method::POST, BODY_MAX, |host, call| {
            named(call, |name| by(host, call).rollback(name))
        }),
        change("/v1/plugins/disable", Method::POST, BODY_MAX, |host, call| {
            named(call, |name| by(host, call).disable(name))
        }),
        change("/v1/plugins/enable", Method::POST, BODY_MAX, |host, call| {
            named(call, |name| by(host, call).enable(name))
        }),
    ]
}

const fn row(path: &'static str, method: Method, action: Action, handler: Handler) -> Row {
    Row { path, method, access: Access { action, resource: Resource::Plugin("") }, handler }
}

fn off() -> Reply {
    let text = "plugins are switched off on this node (plugins.enabled = false)";
    Reply::refusal(StatusCode::CONFLICT, "off", text)
}

/// Where nobody is asked who he is, it counts from where he asks.
fn refuse(context: &RequestContext, remote: bool) -> Option<String> {
    if remote || is_known_or_near(context) {
        return None;
    }
    Some(format!(
        "plugins are changed from this host only, and you ask from {}: run the command there, or ask over TLS as a user (ops.tls, authn.enabled), or set plugins.remote_changes = true if everyone who reaches this port may change them",
        context.peer.ip()
    ))
}

/// Those that the query names, or all; without those that the caller may not look at.
fn list(host: &Host, call: &Call) -> Reply {
    let changes = host.changes();
    let wanted: Vec<&str> = call.plugins().collect();
    let shown = |plugin: &Status| {
        (wanted.is_empty() || wanted.contains(&plugin.name.as_str()))
            && denied(call, Action::Get, [plugin.name.as_str()]).is_none()
    };
    let plugins: Vec<Status> = host.status().into_iter().filter(shown).collect();
    Reply::ok(json!({ "generation": changes.generation, "plugins": plugins }))
}

/// The answer to who may not do this to one of these plugins: whatever the path and the query said of them, the
/// ones that something is done to are asked for.
fn denied<'a>(
    call: &Call,
    action: Action,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<Reply> {
    let access = |name| Access { action, resource: Resource::Plugin(name) };
    names.into_iter().find_map(|name| call.denied(access(name)))
}

/// The answer to who may not do this to one of the plugins that there are.
fn denied_of_all(host: &Host, call: &Call, action: Action) -> Option<Reply> {
    let status = host.status();
    denied(call, action, status.iter().map(|plugin| plugin.name.as_str()))
}

fn logs(host: &Host, call: &Call) -> Reply {
    let after = call.parameter("after").map_or(Ok(0), str::parse);
    let Ok(after) = after else {
        return Reply::refusal(StatusCode::BAD_REQUEST, "request", "`after` must be a number");
    };
    match host.lines(&call.name, after, LINES_MAX) {
        Some(lines) => Reply::ok(json!({ "lines": lines })),
        None => refused(&Error::Unknown { name: call.name.clone() }),
    }
}

fn trace(host: &Host, call: &Call) -> Reply {
    let request = match serde_json::from_slice::<TraceRequest>(&call.body) {
        Ok(request) => request,
        Err(error) => return wrong(&error.to_string()),
    };
    if let Err(problem) = request.check() {
        return wrong(&problem);
    }
    // It shows what each of them is called with.
    if let Some(denied) = denied_of_all(host, call, Action::Update) {
        return denied;
    }
    match host.trace(request) {
        Ok(trace) => Reply::ok(json!({ "trace": trace })),
        Err(error) => refused(&error),
    }
}

fn traced(host: &Host, call: &Call) -> Reply {
    let number = |name| call.parameter(name).map_or(Ok(0), str::parse);
    let (Ok(trace), Ok(after)) = (number("trace"), number("after")) else {
        let text = "`trace` and `after` must be numbers";
        return Reply::refusal(StatusCode::BAD_REQUEST, "request", text);
    };
    if let Some(denied) = denied_of_all(host, call, Action::Get) {
        return denied;
    }
    if let Some(traced) = host.traced(trace, after) {
        return Reply::ok(serde_json::to_value(traced).unwrap_or(Value::Null));
    }
    let text = "that trace is over: another one has begun, or the node was started again";
    Reply::refusal(StatusCode::CONFLICT, "replaced", text)
}

fn put(host: &Host, call: &Call) -> Reply {
    let Some(digest) = call.parameter("digest") else {
        let text = "say what it is: PUT /v1/plugins/components?digest=sha256:...";
        return Reply::refusal(StatusCode::BAD_REQUEST, "request", text);
    };
    match by(host, call).put_component(call.body.clone(), digest) {
        Ok(()) => Reply::ok(json!({ "digest": digest })),
        Err(error) => refused(&error),
    }
}

fn deploy(host: &Host, call: &Call) -> Reply {
    let request = match serde_json::from_slice::<DeployRequest>(&call.body) {
        Ok(request) if (1..=PLUGINS_MAX).contains(&request.plugins.len()) => request,
        Ok(_) => return wrong(&format!("`plugins` must have 1 to {PLUGINS_MAX} items")),
        Err(error) => return wrong(&error.to_string()),
    };
    let terms = Terms { force: request.force, dry_run: request.dry_run };
    let names: Vec<&String> = request.plugins.iter().map(|wanted| &wanted.name).collect();
    if names.iter().enumerate().any(|(i, name)| names[..i].contains(name)) {
        return wrong("a plugin is there twice");
    }
    if let Some(denied) = denied(call, Action::Update, names.iter().map(|name| name.as_str())) {
        return denied;
    }
    match request.plugins.into_iter().map(wanted).collect::<Result<Vec<_>, _>>() {
        Ok(deploys) => answer(by(host, call).deploy(deploys, terms)),
        Err(problem) => wrong(&problem),
    }
}

fn wanted(wanted: Wanted) -> Result<Deploy, String> {
    let Wanted { name, digest, binding, signatures, cases } = wanted;
    let signatures = signatures.map(|text| Signatures::parse(text.as_bytes()));
    let signatures = signatures.transpose().map_err(|e| format!("{name}: {e}"))?;
    let files: Vec<_> = cases.into_iter().map(|case| (case.file, case.text)).collect();
    let check = cases::golden(&files).map_err(|e| format!("{name}: {e:#}"))?;
    Ok(Deploy { name, digest, binding, signatures, check })
}

/// The audit is told who asked.
const fn by<'a>(host: &'a Host, call: &'a Call) -> Changing<'a> {
    host.change_for(call.caller.as_ref())
}

fn named(call: &Call, make: impl FnOnce(&str) -> Result<Report, Error>) -> Reply {
    match serde_json::from_slice::<Named>(&call.body) {
        Ok(Named { name }) => {
            denied(call, Action::Update, [name.as_str()]).unwrap_or_else(|| answer(make(&name)))
        }
        Err(error) => wrong(&error.to_string()),
    }
}

fn answer(result: Result<Report, Error>) -> Reply {
    match result {
        Ok(report) => Reply::ok(serde_json::to_value(report).unwrap_or(Value::Null)),
        Err(error) => refused(&error),
    }
}

fn wrong(problem: &str) -> Reply {
    let text = format!("the request is not understood: {problem}");
    Reply::refusal(StatusCode::BAD_REQUEST, "request", &text)
}

fn refused(error: &Error) -> Reply {
    let status = match error {
        Error::Unknown { .. } => StatusCode::NOT_FOUND,
        Error::Busy | Error::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        Error::Write { .. } | Error::Read { .. } | Error::Engine(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Reply::refusal(status, error.kind(), &error.to_string())
}

#[cfg(test)]
mod tests {
    use blockhouse_model::Principal;

    use super::*;

    #[test]
    fn changes_come_from_this_host() {
        let from = |peer: &str, remote| {
            let peer = peer.parse().unwrap();
            let principal = Principal::Anonymous;
            refuse(&RequestContext { principal, ..RequestContext::new(peer, 1, 0) }, remote)
        };
        let known = |secure| {
            let peer = "10.0.0.1:1".parse().unwrap();
            let principal = Principal::User("ann".into());
            refuse(&RequestContext { principal, secure, ..RequestContext::new(peer, 1, 0) }, false)
        };
        assert!(known(true).is_none() && known(false).is_some());
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(from(peer, false), None, "{peer}");
        }
        let refusal = from("10.0.0.1:1", false).unwrap();
        assert!(
            refusal.contains("10.0.0.1") && refusal.contains("plugins.remote_changes"),
            "{refusal}"
        );
        assert_eq!(from("10.0.0.1:1", true), None);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let read = |text: &str| serde_json::from_str::<DeployRequest>(text).map(|_| ());
        assert!(read(r#"{"plugins": [{"name": "a", "digest": "d"}], "dry_run": true}"#).is_ok());
        assert!(read(r#"{"plugins": [], "dryrun": true}"#).is_err());
        assert!(read(r#"{"plugins": [{"name": "a", "digest": "d", "sig": ""}]}"#).is_err());
        assert!(serde_json::from_str::<Named>(r#"{"name": "a", "force": true}"#).is_err());
    }
}
