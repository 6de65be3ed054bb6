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
    let change = |path, method, body_max, (judge, make): Changed| {
        let (judged, host) = (host.cloned(), host.cloned());
        let judge = Box::new(move |call: &Call| judged.as_ref().and_then(|host| judge(host, call)));
        let make = Box::new(move |call: &Call| match &host {
            Some(host) => make(host, call),
            None => off(),
        });
        let refuse = Box::new(move |context: &RequestContext| refuse(context, remote));
        let handler = Handler::Change(Arc::new(Change { body_max, refuse, judge, make }));
        row(path, method, Action::Update, handler)
    };
    let component_max = usize::try_from(component::SIZE_MAX).unwrap_or(usize::MAX);
    let post = |path, changed| change(path, Method::POST, BODY_MAX, changed);
    vec![
        look("/v1/plugins", list, || Reply::ok(json!({ "generation": 0, "plugins": [] }))),
        look("/v1/plugins/*/logs", logs, off),
        look("/v1/plugins/trace", traced, off),
        post("/v1/plugins/trace", (judge_trace, trace)),
        change("/v1/plugins/components", Method::PUT, component_max, (|_, _| None, put)),
        post("/v1/plugins/deploy", (judge_deploy, deploy)),
        post(
            "/v1/plugins/rollback",
            (judge_named, |host, call| named(call, |name| by(host, call).rollback(name))),
        ),
        post(
            "/v1/plugins/disable",
            (judge_named, |host, call| named(call, |name| by(host, call).disable(name))),
        ),
        post(
            "/v1/plugins/enable",
            (judge_named, |host, call| named(call, |name| by(host, call).enable(name))),
        ),
    ]
}

/// What of a body says that it is not to be done, and what does it.
type Changed = (fn(&Host, &Call) -> Option<Reply>, fn(&Host, &Call) -> Reply);

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
            && call.may(Access { action: Action::Get, resource: Resource::Plugin(&plugin.name) })
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

fn trace_request(call: &Call) -> Result<TraceRequest, String> {
    let request = serde_json::from_slice::<TraceRequest>(&call.body).map_err(|e| e.to_string())?;
    request.check().map(|()| request)
}

fn judge_trace(host: &Host, call: &Call) -> Option<Reply> {
    match trace_request(call) {
        // It shows what each of them is called with.
        Ok(_) => denied_of_all(host, call, Action::Update),
        Err(problem) => Some(wrong(&problem)),
    }
}

fn trace(host: &Host, call: &Call) -> Reply {
    match trace_request(call).map(|request| host.trace(request)) {
        Ok(Ok(trace)) => Reply::ok(json!({ "trace": trace })),
        Ok(Err(error)) => refused(&error),
        Err(problem) => wrong(&problem),
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

fn deploy_request(call: &Call) -> Result<DeployRequest, String> {
    let request = serde_json::from_slice::<DeployRequest>(&call.body).map_err(|e| e.to_string())?;
    if !(1..=PLUGINS_MAX).contains(&request.plugins.len()) {
        return Err(format!("`plugins` must have 1 to {PLUGINS_MAX} items"));
    }
    let names: Vec<&String> = request.plugins.iter().map(|wanted| &wanted.name).collect();
    if names.iter().enumerate().any(|(i, name)| names[..i].contains(name)) {
        return Err("a plugin is there twice".to_owned());
    }
    Ok(request)
}

fn judge_deploy(_: &Host, call: &Call) -> Option<Reply> {
    match deploy_request(call) {
        Ok(request) => {
            let names = request.plugins.iter().map(|wanted| wanted.name.as_str());
            denied(call, Action::Update, names)
        }
        Err(problem) => Some(wrong(&problem)),
    }
}

fn deploy(host: &Host, call: &Call) -> Reply {
    let request = match deploy_request(call) {
        Ok(request) => request,
        Err(problem) => return wrong(&problem),
    };
    let terms = Terms { force: request.force, dry_run: request.dry_run };
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

fn judge_named(_: &Host, call: &Call) -> Option<Reply> {
    match serde_json::from_slice::<Named>(&call.body) {
        Ok(Named { name }) => denied(call, Action::Update, [name.as_str()]),
        Err(error) => Some(wrong(&error.to_string())),
    }
}

fn named(call: &Call, make: impl FnOnce(&str) -> Result<Report, Error>) -> Reply {
    match serde_json::from_slice::<Named>(&call.body) {
        Ok(Named { name }) => answer(make(&name)),
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
