//! Which bindings run for what is done, from the node's configuration and from what was deployed on it.

use std::path::{Path, PathBuf};

use blockhouse_disk::{Disk as _, RealDisk};
use blockhouse_host::host::component_path;
use blockhouse_host::{Binding, InForce, Interface, Mode, OnFailure, Source};
use blockhouse_package::Component;
use blockhouse_protocol::codes::request_code;
use clap::ValueEnum as _;
use serde_json::{Value, json};

use super::{engine, files, list};
use crate::args::{NodeArgs, ProcessArgs};
use crate::cluster::Table;
use crate::process::{Role, plugins};
use crate::{options, wrong_use};

pub(super) const EXAMPLES: &str = "\
Rows stand in the order of the calls. A binding that does not list its `hooks` serves what its component \
exports, which is looked up in the node's data directory. What was deployed there wins over the file, and what \
was disabled is left out.

Examples:
  blockhouse plugin explain --config node.toml --topic orders
  blockhouse plugin explain --config node.toml --topic orders \\
      --group billing --principal ann
  blockhouse plugin explain --config node.toml --action route --topic orders
  blockhouse plugin explain --config namesrv.toml --role namesrv \\
      --action register
  blockhouse plugin explain --config node.toml --action admin --code 215 \\
      --topic orders";

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Action {
    /// A message is sent
    Send,
    /// Messages are pulled
    Pull,
    /// A consumer commits how far it is
    Ack,
    /// A client asks where a topic is served
    Route,
    /// A broker reports to a name server
    Register,
    /// Something is administered; creating a topic, if --code does not say
    Admin,
    /// A client connects, and goes again
    Connect,
}

impl Action {
    /// The request's code; a connection has none.
    const fn code(self) -> i32 {
        match self {
            Self::Send => engine::SEND,
            Self::Pull => engine::PULL,
            Self::Ack => request_code::UPDATE_CONSUMER_OFFSET,
            Self::Route => request_code::GET_ROUTEINFO_BY_TOPIC,
            Self::Register => request_code::REGISTER_BROKER,
            Self::Admin => request_code::UPDATE_AND_CREATE_TOPIC,
            Self::Connect => 0,
        }
    }

    /// The hooks of its own, between who asks and what is told of it.
    const fn own(self) -> &'static [Interface] {
        match self {
            Self::Send => &[Interface::BeforeSend, Interface::AfterAppend, Interface::EnrichSpan],
            Self::Pull => {
                &[Interface::Pull, Interface::BeforeDeliver, Interface::Ack, Interface::EnrichSpan]
            }
            Self::Ack => &[Interface::Ack, Interface::EnrichSpan],
            Self::Route => &[Interface::RouteQuery],
            Self::Register => &[Interface::BrokerRegistration],
            Self::Admin => &[Interface::AdminCommand],
            Self::Connect => &[],
        }
    }

    /// All of its hooks, in the order of their calls.
    fn hooks(self) -> Vec<Interface> {
        let asked: &[Interface] = match self {
            Self::Connect => &[],
            _ => &[Interface::Authenticate, Interface::Authorize],
        };
        [&[Interface::Connection], asked, self.own(), &[Interface::AuditSink]].concat()
    }

    /// Whether it is always about a topic.
    const fn has_topic(self) -> bool {
        matches!(self, Self::Send | Self::Pull | Self::Ack | Self::Route)
    }

    /// Whether the group is among what has to be allowed.
    const fn asks_for_group(self) -> bool {
        !matches!(self, Self::Send | Self::Route)
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Which node, and who does what.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The node's TOML file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The node's data directory, if the file does not name it
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// The command that runs with them
    #[arg(long, value_enum, value_name = "COMMAND", default_value = "standalone")]
    role: Role,
    /// What is done; may be given several times
    #[arg(long = "action", value_enum, value_delimiter = ',', default_values_t = [Action::Send, Action::Pull])]
    actions: Vec<Action>,
    /// The topic that it is about; send, pull, ack and route need one
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    topic: String,
    /// The producer's or consumer's group
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    group: String,
    /// Who asks; `anonymous` is who proved nothing
    #[arg(long, value_name = "NAME", default_value = "anonymous")]
    principal: String,
    /// The request code, if it is not the usual one of the action
    #[arg(long, value_name = "NUMBER")]
    code: Option<i32>,
}

/// A call that a request causes.
struct Call<'a> {
    action: Action,
    hook: Interface,
    binding: &'a Binding,
    source: Source,
    /// Whether it is known that the component exports the hook.
    is_sure: bool,
}

/// Tells.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    check_topic(args)?;
    let process = ProcessArgs {
        config: Some(args.config.clone()),
        data: args.data.clone(),
        ..ProcessArgs::default()
    };
    let node = NodeArgs { process, ..NodeArgs::default() };
    let options = options::load(&node).map_err(|e| wrong_use(crate::sentence(&e)))?;
    let config = options.loaded.config;
    config.plugins.validate().map_err(|e| wrong_use(format!("plugins.{e}")))?;
    let dir = plugins::dir(&config.node.data);
    let set = InForce::read(&config.plugins, &RealDisk, &dir, plugins::role(args.role))?;
    let bindings: Vec<Bound<'_>> = set
        .bindings
        .iter()
        .map(|(binding, source)| (binding, *source, Served::of(binding, &dir)))
        .collect();
    let calls: Vec<Call<'_>> =
        args.actions.iter().flat_map(|action| calls(args, *action, &bindings)).collect();
    let rows: Vec<Value> = calls.iter().map(json).collect();
    let mut text = text(args, &calls, config.plugins.enabled);
    if !set.disabled.is_empty() {
        text += &format!("disabled on the node: {}\n", set.disabled.join(", "));
    }
    super::print(as_json, &text, &json!({ "calls": rows, "disabled": set.disabled }))
}

/// Which bindings run depends on the topic, where there is one.
fn check_topic(args: &Args) -> anyhow::Result<()> {
    if !args.topic.is_empty() {
        return Ok(());
    }
    let about: Vec<String> =
        args.actions.iter().filter(|a| a.has_topic()).map(|a| format!("`{}`", a.name())).collect();
    if about.is_empty() {
        return Ok(());
    }
    let others = Action::value_variants().iter().filter(|action| !action.has_topic());
    let others: Vec<String> = others.map(|action| action.name()).collect();
    Err(wrong_use(format!(
        "which bindings run for {} depends on the topic: give --topic NAME, or --action with what is \
         about none ({})",
        about.join(" and "),
        others.join(", ")
    )))
}

/// The calls of one request, in their order.
fn calls<'a>(args: &Args, action: Action, bindings: &[Bound<'a>]) -> Vec<Call<'a>> {
    let cx = engine::request(&args.principal, args.code.unwrap_or(action.code()));
    let mut calls = Vec::new();
    for hook in action.hooks() {
        // What is sent is authorized for its topic alone.
        let is_asked = action.asks_for_group() || hook != Interface::Authorize;
        let group = if is_asked { args.group.as_str() } else { "" };
        for (binding, source, served) in bindings {
            if served.may(hook) && binding.covers(hook, &cx, &args.topic, group) {
                let is_sure = matches!(served, Served::Known(_));
                calls.push(Call { action, hook, binding, source: *source, is_sure });
            }
        }
    }
    calls
}

/// A binding, where it is from, and its hooks.
type Bound<'a> = (&'a Binding, Source, Served);

/// The hooks of a binding.
enum Served {
    Known(Vec<Interface>),
    /// It lists none, and its component is not here.
    Unknown,
}

impl Served {
    fn of(binding: &Binding, dir: &Path) -> Self {
        if !binding.hooks.is_empty() {
            return Self::Known(binding.hooks.clone());
        }
        let path = component_path(dir, &binding.digest);
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
        let at = if topic.is_empty() { String::new() } else { format!(" at {topic}") };
        return format!("no plugin runs for {principal}{at}\n");
    }
    let mut table = Table::new(&[
        "request",
        "hook",
        "order",
        "binding",
        "from",
        "mode",
        "deadline",
        "if it fails, the request",
    ]);
    for call in calls {
        let question = if call.is_sure { "" } else { " ?" };
        table.row([
            call.action.name(),
            format!("{}{question}", call.hook),
            call.binding.order.to_string(),
            call.binding.name.clone(),
            from(call.source).to_owned(),
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

const fn from(source: Source) -> &'static str {
    match source {
        Source::Configuration => "configuration",
        Source::Deployed => "deployed",
    }
}

fn json(call: &Call<'_>) -> Value {
    json!({
        "request": call.action.name(),
        "hook": call.hook.name(),
        "order": call.binding.order,
        "binding": call.binding.name,
        "from": call.source,
        "digest": call.binding.digest,
        "mode": call.mode(),
        "deadlineMs": call.binding.deadline_ms_at(call.hook),
        "onFailure": call.binding.on_failure_at(call.hook),
        "exportKnown": call.is_sure,
        "grants": call.binding.grants.spelled(),
    })
}
