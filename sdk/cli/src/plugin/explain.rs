//! Which bindings run for a request, from the configuration alone.

use std::path::{Path, PathBuf};

use blockhouse_disk::{Disk as _, RealDisk};
use blockhouse_host::host::component_path;
use blockhouse_host::{Binding, Interface, Mode, OnFailure};
use blockhouse_package::Component;
use serde_json::{Value, json};

use super::{engine, files, list};
use crate::args::{NodeArgs, ProcessArgs};
use crate::cluster::Table;
use crate::options;
use crate::process::plugins;

pub(super) const EXAMPLES: &str = "\
Rows stand in the order of the calls. A binding that does not list its `hooks` serves what its
component exports, which is looked up in the node's data directory.

Examples:
  blockhouse plugin explain --config node.toml --topic orders
  blockhouse plugin explain --config node.toml --topic orders --group billing --principal ann";

const SEND: [Interface; 7] = [
    Interface::Connection,
    Interface::Authenticate,
    Interface::Authorize,
    Interface::BeforeSend,
    Interface::AfterAppend,
    Interface::EnrichSpan,
    Interface::AuditSink,
];
const PULL: [Interface; 8] = [
    Interface::Connection,
    Interface::Authenticate,
    Interface::Authorize,
    Interface::Pull,
    Interface::BeforeDeliver,
    Interface::Ack,
    Interface::EnrichSpan,
    Interface::AuditSink,
];

/// Which node, and who does what.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The node's TOML file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The node's data directory, if the file does not name it
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// The topic that is sent to or pulled from
    #[arg(long)]
    topic: String,
    /// The producer's or consumer's group
    #[arg(long, default_value = "")]
    group: String,
    /// Who asks; `anonymous` is who proved nothing
    #[arg(long, value_name = "NAME", default_value = "anonymous")]
    principal: String,
}

/// A call that a request causes.
struct Call<'a> {
    action: &'static str,
    hook: Interface,
    binding: &'a Binding,
    /// Whether it is known that the component exports the hook.
    is_sure: bool,
}

/// Tells.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let process = ProcessArgs {
        config: Some(args.config.clone()),
        data: args.data.clone(),
        ..ProcessArgs::default()
    };
    let node = NodeArgs { process, ..NodeArgs::default() };
    let options = options::load(&node).map_err(|e| crate::wrong_use(format!("{e:#}")))?;
    let config = options.loaded.config;
    config.plugins.validate().map_err(|e| crate::wrong_use(format!("plugins.{e}")))?;
    let mut bindings: Vec<(&Binding, Served)> = config
        .plugins
        .binding
        .iter()
        .filter(|_| config.plugins.enabled)
        .map(|binding| (binding, Served::of(binding, &config.node.data)))
        .collect();
    bindings.sort_by(|(a, _), (b, _)| (a.order, &a.name).cmp(&(b.order, &b.name)));
    let mut calls = calls(args, "send", engine::SEND, &bindings);
    calls.extend(self::calls(args, "pull", engine::PULL, &bindings));
    let json: Vec<Value> = calls.iter().map(json).collect();
    super::print(as_json, &text(args, &calls, config.plugins.enabled), &json!({ "calls": json }))
}

/// The calls of one request, in their order.
fn calls<'a>(
    args: &Args,
    action: &'static str,
    code: i32,
    bindings: &[(&'a Binding, Served)],
) -> Vec<Call<'a>> {
    let is_send = action == "send";
    let cx = engine::request(&args.principal, code);
    let mut calls = Vec::new();
    for &hook in if is_send { &SEND[..] } else { &PULL[..] } {
        // What is sent is authorized for its topic alone.
        let group = if is_send && hook == Interface::Authorize { "" } else { &args.group };
        for (binding, served) in bindings {
            if served.may(hook) && binding.covers(hook, &cx, &args.topic, group) {
                let is_sure = matches!(served, Served::Known(_));
                calls.push(Call { action, hook, binding, is_sure });
            }
        }
    }
    calls
}

/// The hooks of a binding.
enum Served {
    Known(Vec<Interface>),
    /// It lists none, and its component is not here.
    Unknown,
}

impl Served {
    fn of(binding: &Binding, data: &Path) -> Self {
        if !binding.hooks.is_empty() {
            return Self::Known(binding.hooks.clone());
        }
        let path = component_path(&plugins::dir(data), &binding.digest);
        let component = || {
            let bytes = RealDisk.exists(&path).then(|| files::component(&path).ok())??;
            Component::look(&bytes).ok()
        };
        let Some(component) = component() else { return Self::Unknown };
        let exported = |hook: &Interface| {
            let names = component.exports.iter().filter_map(|item| item.of_contract());
            names.into_iter().any(|(name, _)| name == hook.name())
        };
        Self::Known(Interface::ALL.into_iter().filter(exported).collect())
    }

    fn may(&self, hook: Interface) -> bool {
        match self {
            Self::Known(hooks) => hooks.contains(&hook),
            Self::Unknown => true,
        }
    }
}

impl Call<'_> {
    fn on_failure(&self) -> &'static str {
        match (self.binding.mode, self.binding.on_failure_at(self.hook)) {
            // Beside the data path: a sink that fails closed keeps administration out, not requests.
            _ if matches!(self.hook, Interface::EnrichSpan | Interface::AuditSink) => "goes on",
            (Mode::Shadow, _) => "no effect",
            (Mode::Enforce, OnFailure::Open) => "goes on",
            (Mode::Enforce, OnFailure::Closed) => "is refused",
        }
    }

    fn mode(&self) -> &'static str {
        match self.binding.mode {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
        }
    }
}

fn text(args: &Args, calls: &[Call<'_>], enabled: bool) -> String {
    if !enabled {
        return "plugins.enabled is false: no plugin runs\n".to_owned();
    }
    if calls.is_empty() {
        let Args { topic, principal, .. } = args;
        return format!("no plugin runs for {principal} at {topic}\n");
    }
    let mut table = Table::new(&[
        "request",
        "hook",
        "order",
        "binding",
        "mode",
        "deadline",
        "if it fails, the request",
    ]);
    for call in calls {
        let question = if call.is_sure { "" } else { " ?" };
        table.row([
            call.action.to_owned(),
            format!("{}{question}", call.hook),
            call.binding.order.to_string(),
            call.binding.name.clone(),
            call.mode().to_owned(),
            format!("{} ms", call.binding.deadline_ms_at(call.hook)),
            call.on_failure().to_owned(),
        ]);
    }
    let mut text = table.to_string();
    let mut grants: Vec<(&str, Vec<String>)> = Vec::new();
    for Binding { name, grants: granted, .. } in calls.iter().map(|call| call.binding) {
        if grants.iter().all(|(known, _)| known != name) {
            grants.push((name, granted.spelled()));
        }
    }
    text += &list::granted(grants.iter().map(|(name, grants)| (*name, &**grants)));
    if calls.iter().any(|call| !call.is_sure) {
        text += "\n? the binding lists no `hooks` and its component is not in the node's data \
                 directory: it is called if the component exports the hook\n";
    }
    text
}

fn json(call: &Call<'_>) -> Value {
    json!({
        "request": call.action,
        "hook": call.hook.name(),
        "order": call.binding.order,
        "binding": call.binding.name,
        "digest": call.binding.digest,
        "mode": call.mode(),
        "deadlineMs": call.binding.deadline_ms_at(call.hook),
        "onFailure": call.binding.on_failure_at(call.hook),
        "exportKnown": call.is_sure,
        "grants": call.binding.grants.spelled(),
    })
}
