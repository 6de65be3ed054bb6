//! The ops listener of the process: what it shows, what it changes, and who comes in.

use std::sync::Arc;

use blockhouse_authn::SigningKey;
use blockhouse_hook::{AdminCommand, Auditor, Decided, Outcome, Subject};
use blockhouse_model::{Access, Action, Principal, RequestContext, Resource};
use blockhouse_ops::{Door, Handler, Ops, Page, Parts, Reply, Row, Running, Sign, View};
use blockhouse_telemetry::{Error, Exporter, Exposition, Identity, Sidecar};
use hyper::http::Method;
use serde_json::{Value, json};

use super::{
    Control, Role, Shared, audit, clients, flight, log, node_name, plugins, policies, refusals,
    traces,
};
use crate::options::Config;

/// Who the process is, where it tells of itself.
pub(super) fn identity(config: &Config, role: Role) -> Identity {
    Identity {
        cluster: config.node.cluster.clone(),
        // RocketMQ's dashboards look for `broker`, also where a name server is with it.
        node_type: (if role.has_broker() { "broker" } else { "namesrv" }).to_owned(),
        node_id: node_name(config, role).to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Starts to listen, if there is an address, on threads of its own: what the disk keeps waiting can be looked at.
pub(super) fn start(
    config: &Config,
    role: Role,
    shared: &Shared,
    control: Control<'_>,
) -> anyhow::Result<Option<Running>> {
    let identity = identity(config, role);
    let info = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "role": role.name(),
        "name": node_name(config, role),
        "cluster": config.node.cluster,
        "started_ms": shared.clock.now().0,
    });
    let readiness = Arc::clone(&shared.readiness);
    let noting = Arc::clone(&shared.readiness);
    let mut rows = plugins::rows(control.plugins, config.plugins.remote_changes);
    rows.extend(policies::rows(control.policies, config.authz.remote_changes));
    rows.extend(audit::rows(control.audit));
    rows.extend(flight::rows(control.flight));
    rows.extend(log::rows(control.level, shared));
    rows.extend(clients::rows(&shared.connected));
    rows.extend(traces::rows(shared));
    rows.extend(refusals::rows(&shared.meter));
    rows.push(Row {
        path: "/v1/info",
        method: Method::GET,
        access: Access { action: Action::Get, resource: Resource::Cluster },
        handler: Handler::Look(Box::new(move |_| Reply::ok(info.clone()))),
    });
    let views = views(identity, shared)?;
    rows.push(listed(&rows, &views));
    let parts = Parts {
        checks: shared.readiness.checks(),
        complaints: Box::new(move || readiness.complaints()),
        notes: Box::new(move || noting.notes()),
        views,
        rows,
        hooks: Arc::clone(&shared.hooks),
        door: door(config, shared),
        tasks: shared.tasks.child_on("ops", shared.aside.clone()),
    };
    Ok(Ops::start(&config.ops, parts)?)
}

/// The ways of showing metrics.
fn views(identity: Identity, shared: &Shared) -> anyhow::Result<Vec<View>> {
    let exporter = Exporter::new(identity, Arc::clone(&shared.meter), Arc::clone(&shared.clock))?;
    let exporter = Arc::new(exporter);
    let native = Arc::clone(&exporter);
    let sidecar = Sidecar::new(Arc::clone(&shared.meter))?;
    Ok(vec![
        view("/metrics", move |accept| exporter.show(accept)),
        view("/metrics/native", move |accept| native.show_native(accept)),
        view("/metrics/exporter", move |_| sidecar.text()),
    ])
}

/// The row that tells of all others, and of itself, what each asks for.
fn listed(rows: &[Row], views: &[View]) -> Row {
    let (path, method) = ("/v1/routes", Method::GET);
    let access = Access { action: Action::Get, resource: Resource::Cluster };
    let needs = |path: &str, method: &Method, access: Access<'_>| {
        let (action, resource) = (access.action.name(), resource(&access.resource));
        json!({ "path": path, "method": method.as_str(), "action": action, "resource": resource })
    };
    let of_views = views.iter().map(|view| needs(view.path, &Method::GET, view.access));
    let of_rows = rows.iter().map(|row| needs(row.path, &row.method, row.access));
    let mut all: Vec<Value> = of_views.chain(of_rows).collect();
    all.push(needs(path, &method, access));
    let body = json!({ "routes": all });
    Row { path, method, access, handler: Handler::Look(Box::new(move |_| Reply::ok(body.clone()))) }
}

/// As policies have it; routes name no topics and no groups.
const fn resource(resource: &Resource<'_>) -> &'static str {
    match resource {
        Resource::Cluster => "Cluster:*",
        Resource::Policy => "Policy:*",
        Resource::Plugin(_) => "Plugin:*",
        Resource::Audit => "Audit:*",
        Resource::Topic(_) => "Topic:*",
        Resource::Group(_) => "Group:*",
    }
}

/// A way of showing metrics, for whoever may look at the cluster.
fn view(
    path: &'static str,
    show: impl Fn(&str) -> Result<Exposition, Error> + Send + Sync + 'static,
) -> View {
    let page = |shown: Exposition| Page { content_type: shown.content_type, body: shown.body };
    View {
        path,
        access: Access { action: Action::Get, resource: Resource::Cluster },
        show: Box::new(move |accept| show(accept).map(page).map_err(|error| error.to_string())),
    }
}

fn door(config: &Config, shared: &Shared) -> Door {
    let users = shared.authenticated.users.clone();
    let sign: Sign =
        Box::new(|password, text| SigningKey::new(password.as_bytes()).sign(text, b""));
    Door {
        tls: shared.tls.acceptor.clone().filter(|_| config.ops.tls),
        sign: users.is_some().then_some(sign),
        is_super: Box::new(move |who| users.as_ref().is_none_or(|users| users.is_super(who))),
        clock: Arc::clone(&shared.clock),
    }
}

/// Tells the audit what an admin command did, and for whom; the node itself if nobody asked.
pub(super) fn tell(
    auditor: &Auditor,
    caller: Option<&RequestContext>,
    command: AdminCommand<'_>,
    failed: Option<&str>,
) {
    let node = RequestContext::new(([0, 0, 0, 0], 0).into(), 0, 0);
    let cx = caller.unwrap_or(&node);
    let outcome = if failed.is_none() { Outcome::Allowed } else { Outcome::Failed };
    let reason = failed.unwrap_or_default();
    let decided = Decided { outcome, by: "node", shadow: false, reason };
    auditor.tell(Subject::Admin(cx, &command), decided);
}

/// Whether a change may come from where it comes from: who asks is known, and nobody listens; or he is on this
/// host.
pub(super) fn is_known_or_near(context: &RequestContext) -> bool {
    let is_known = context.secure && matches!(context.principal, Principal::User(_));
    is_known || context.peer.ip().to_canonical().is_loopback()
}
