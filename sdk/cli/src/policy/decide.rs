//! Decisions of policies in files.

use std::path::PathBuf;

use blockhouse_authz::{
    Able, Ask, Channel, Circumstances, Difference, Message, MessageType, Policies, Question,
    parse_action, unknown_action,
};
use serde_json::{Value, json};

use super::{AclArgs, ModeArg, files, print};
use crate::cluster::Table;
use crate::wrong_use;

/// Rows of a difference that are shown.
const ROWS_MAX: usize = 1_000;

/// What is asked.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The directory with the policies
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// Who asks: user:NAME, plugin:NAME or anonymous
    #[arg(long)]
    principal: String,
    /// Pub, Sub, Create, Update, Delete, Get or List
    #[arg(long)]
    action: String,
    /// To what: TYPE:NAME, as in Topic:orders or Cluster:*
    #[arg(long)]
    resource: String,
    /// From which address
    #[arg(long, default_value = "127.0.0.1")]
    ip: std::net::IpAddr,
    /// When, in UTC, as in "mon 22:30"
    #[arg(long, default_value = "mon 12:00")]
    at: String,
    /// Over which kind of connection: plain, tls or mtls
    #[arg(long, default_value = "plain")]
    channel: String,
    /// To send what type of message: normal, fifo, delay or transaction
    #[arg(long, default_value = "normal")]
    mtype: String,
    /// To send a body of so many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1)]
    size: u32,
    /// To send a message with this tag
    #[arg(long, default_value = "", hide_default_value = true)]
    tag: String,
    #[command(flatten)]
    acls: AclArgs,
    #[command(flatten)]
    mode: ModeArg,
}

/// What somebody may do.
#[derive(Debug, clap::Args)]
pub(super) struct WhoCanArgs {
    /// The directory with the policies
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// Pub, Sub, Create, Update, Delete, Get or List
    #[arg(long)]
    action: String,
    /// To what: TYPE:NAME, as in Topic:orders or Cluster:*
    #[arg(long)]
    resource: String,
    #[command(flatten)]
    acls: AclArgs,
    #[command(flatten)]
    mode: ModeArg,
}

/// Two sets.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The policies before
    before: PathBuf,
    /// The policies after
    after: PathBuf,
    #[command(flatten)]
    mode: ModeArg,
}

pub(super) const fn word(allowed: bool) -> &'static str {
    if allowed { "allow" } else { "deny" }
}

pub(super) fn rule(rule: Option<impl ToString>) -> String {
    rule.map_or("no rule".to_owned(), |rule| rule.to_string())
}

/// Which rule decides.
pub(super) fn explain(args: &ExplainArgs, as_json: bool) -> anyhow::Result<()> {
    let ExplainArgs { principal, action, resource, .. } = args;
    let (who, ask) = Question { principal, action, resource }.read().map_err(wrong_use)?;
    let channel = Channel::parse(&args.channel).ok_or_else(|| {
        wrong_use(format!("unknown channel {:?}: plain, tls or mtls", args.channel))
    })?;
    let mtype = MessageType::parse(&args.mtype).ok_or_else(|| {
        wrong_use(format!(
            "unknown message type {:?}: normal, fifo, delay or transaction",
            args.mtype
        ))
    })?;
    let message = Message { mtype, size: args.size.into(), tag: &args.tag };
    let mut at = Circumstances { ip: args.ip.to_canonical(), channel, ..Circumstances::default() };
    at.set_moment(&args.at).map_err(wrong_use)?;
    let files = files(&args.policies)?;
    let mode = args.mode.mode();
    let set = Policies::check_with(&files, &args.acls.lines(mode)?, mode)?;
    let decision = set.index().decide_on(who, &ask, &at, &message);
    let text = decision.rule.as_ref().and_then(|rule| files.line(rule));
    let by = rule(decision.rule.as_ref());
    let json = json!({
        "allowed": decision.allowed,
        "rule": decision.rule.as_ref().map(ToString::to_string),
        "text": text,
        "asked": { "principal": principal, "action": action, "resource": ask.resource() },
    });
    let shown = text.map(|text| format!("\n  {text}")).unwrap_or_default();
    let asked = ask.resource();
    let answer = word(decision.allowed);
    print(as_json, &format!("{answer}: {principal} {action} {asked}: {by}{shown}\n"), &json)
}

/// Who may.
pub(super) fn who_can(args: &WhoCanArgs, as_json: bool) -> anyhow::Result<()> {
    let action =
        parse_action(&args.action).ok_or_else(|| wrong_use(unknown_action(&args.action)))?;
    let ask = Ask::parse(action, &args.resource).map_err(wrong_use)?;
    let mode = args.mode.mode();
    let acls = args.acls.lines(mode)?;
    let set = Policies::check_with(&files(&args.policies)?, &acls, mode)?;
    let able = set.who_can(&ask);
    let mut table = Table::new(&["principal", "rule", "when"]);
    for Able { principal, rule, conditional } in &able {
        let when = if *conditional { "under conditions" } else { "always" };
        table.row([principal.clone(), rule.to_string(), when.to_owned()]);
    }
    let row = |able: &Able| -> Value {
        let Able { principal, rule, conditional } = able;
        json!({ "principal": principal, "rule": rule.to_string(), "conditional": conditional })
    };
    let json = json!({ "principals": able.iter().map(row).collect::<Vec<_>>() });
    let text = if table.is_empty() { "nobody\n".to_owned() } else { table.to_string() };
    print(as_json, &text, &json)
}

/// What a change changes.
pub(super) fn diff(args: &DiffArgs, as_json: bool) -> anyhow::Result<()> {
    let (before, after) = (files(&args.before)?, files(&args.after)?);
    let mode = args.mode.mode();
    let sets = (Policies::check(&before, mode)?, Policies::check(&after, mode)?);
    let all = Policies::differences((&sets.0, &before), (&sets.1, &after), ROWS_MAX + 1)?;
    let mut table = Table::new(&["principal", "action", "resource", "before", "after", "by"]);
    for each in all.iter().take(ROWS_MAX) {
        let by = rule(each.rule.as_ref());
        let Difference { principal, action, resource, before, after, .. } = each;
        table.row([principal, *action, resource, word(*before), word(*after), &*by]);
    }
    let row = |each: &Difference| -> Value {
        json!({
            "principal": each.principal,
            "action": each.action,
            "resource": each.resource,
            "before": word(each.before),
            "after": word(each.after),
            "rule": each.rule.as_ref().map(ToString::to_string),
        })
    };
    let more = all.len() > ROWS_MAX;
    let rows: Vec<Value> = all.iter().take(ROWS_MAX).map(row).collect();
    let text = match (table.is_empty(), more) {
        (true, _) => "no decision changes\n".to_owned(),
        (_, true) => format!("{table}and more, over {ROWS_MAX}\n"),
        _ => table.to_string(),
    };
    print(as_json, &text, &json!({ "changes": rows, "more": more }))
}
