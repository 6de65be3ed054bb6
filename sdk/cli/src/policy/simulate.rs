//! What another set of policies would have decided.

mod lines;
mod observed;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use blockhouse_audit::Record;
use blockhouse_authn::users::NODE;
use blockhouse_authz::{Channel, Circumstances, Message, Policies, Question};
use blockhouse_disk::{Disk as _, RealDisk};
use blockhouse_model::Clock as _;
use blockhouse_service::SystemClock;
use clap::ArgGroup;
use serde_json::{Value, json};

use super::{AclArgs, ModeArg, decide, files, print};
use crate::cluster::Table;
use crate::{audit, given, out, wrong_use};
use observed::{Observed, Told, of_message, of_record};

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse policy simulate --policies new/ --audit /var/lib/blockhouse
  blockhouse policy simulate --policies new/ --principal user:shop \\
      --recorded recorded/orders.jsonl

An audit log has what was refused. What is allowed on the data path makes no record, but for what a plugin \
changed, dropped or refused: that nothing changes does not say that all goes on. docs/policies.md has more.";

/// Changes that are told apart; of further ones there is only the number.
const CHANGES_MAX: usize = 10_000;
/// Changes that are shown.
const ROWS_MAX: usize = 1_000;
/// Decisions between two signs of life.
const PACE: u64 = 1_000_000;
/// What every outcome of an audit log is told with.
const SAMPLED: &str = "the audit log has refusals; of what the data path allows only what a plugin changed, \
                       dropped or refused";

/// A set, and what is asked of it.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").args(["audit", "recorded"]).required(true))]
pub(super) struct SimulateArgs {
    /// The directory with the policies
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// What was decided once: a data directory, the audit directory in it, or a file of `audit export`
    #[arg(long, value_name = "DIR|FILE")]
    audit: Option<PathBuf>,
    /// Messages that were sent once, as `consume --json` and `plugin test --record` write them
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,
    /// Who sent the recorded messages whose line has no member `principal`: user:NAME, plugin:NAME or anonymous
    #[arg(long, default_value = "anonymous", conflicts_with = "audit")]
    principal: String,
    /// Over which kind of connection all was: plain, tls or mtls; it is not recorded
    #[arg(long, default_value = "plain")]
    channel: String,
    /// Users of type Super, who are not asked
    #[arg(long = "super", value_name = "NAME")]
    supers: Vec<String>,
    #[command(flatten)]
    acls: AclArgs,
    #[command(flatten)]
    mode: ModeArg,
}

/// A change, whenever it would have been.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Change {
    principal: String,
    actions: String,
    resources: String,
    ip: IpAddr,
    allowed: bool,
    rule: String,
}

struct Simulation<'a> {
    set: &'a Policies,
    supers: &'a [String],
    channel: Channel,
    changes: HashMap<Change, u64>,
    replayed: u64,
    changed: u64,
    /// Changes that found no room.
    untold: u64,
    unclear: u64,
}

/// Decides again. Exit codes: 0 nothing changes, 1 something does, 2 it could not be told.
pub(super) fn simulate(args: &SimulateArgs, as_json: bool) -> ExitCode {
    match replay(args, as_json) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(error) => {
            out::note(&format!("blockhouse: {}", crate::sentence(&error)));
            ExitCode::from(2)
        }
    }
}

/// Whether something changes.
fn replay(args: &SimulateArgs, as_json: bool) -> anyhow::Result<bool> {
    let channel = Channel::parse(&args.channel).ok_or_else(|| {
        wrong_use(format!("unknown channel {:?}: plain, tls or mtls", args.channel))
    })?;
    let question = Question { principal: &args.principal, action: "Pub", resource: "Topic:t" };
    question.read().map_err(wrong_use)?;
    let mode = args.mode.mode();
    let set = Policies::check_with(&files(&args.policies)?, &args.acls.lines(mode)?, mode)?;
    let mut simulation = Simulation::new(&set, &args.supers, channel);
    if let Some(place) = &args.audit {
        simulation.audit(place)?;
    } else if let Some(path) = &args.recorded {
        simulation.recorded(path, &args.principal)?;
    }
    let notes = simulation.notes(args.audit.is_some());
    simulation.print(&notes, as_json)?;
    Ok(simulation.changed > 0)
}

fn each_line(path: &Path, visit: &mut dyn FnMut(&[u8])) -> anyhow::Result<()> {
    given::file(path)?;
    let cannot = || format!("cannot read {}", path.display());
    let file = RealDisk.open_read(path).with_context(cannot)?;
    lines::each(&file, visit).with_context(cannot)
}

impl<'a> Simulation<'a> {
    fn new(set: &'a Policies, supers: &'a [String], channel: Channel) -> Self {
        let changes = HashMap::new();
        Self { set, supers, channel, changes, replayed: 0, changed: 0, untold: 0, unclear: 0 }
    }

    fn audit(&mut self, place: &Path) -> anyhow::Result<()> {
        if place.is_file() {
            return each_line(place, &mut |line| {
                self.record(serde_json::from_slice::<Record>(line).ok().as_ref());
            });
        }
        let dir = audit::audit_dir(place)?;
        blockhouse_audit::records(Arc::new(RealDisk), &dir, &mut |_, record| {
            self.record(record.as_ref());
            true
        })?;
        Ok(())
    }

    fn recorded(&mut self, path: &Path, principal: &str) -> anyhow::Result<()> {
        let now = SystemClock::new().now();
        each_line(path, &mut |line| match of_message(line, principal, now) {
            Some(observed) => self.decide(observed),
            None if line.iter().all(u8::is_ascii_whitespace) => {}
            None => self.unclear += 1,
        })
    }

    fn record(&mut self, record: Option<&Record>) {
        match record.map(of_record) {
            Some(Told::Decision(observed)) => self.decide(observed),
            Some(Told::Nothing) => {}
            Some(Told::Unclear) | None => self.unclear += 1,
        }
    }

    fn decide(&mut self, observed: Observed) {
        let Some((allowed, rule)) = self.decided(&observed) else {
            self.unclear = self.unclear.saturating_add(observed.count);
            return;
        };
        let before = self.replayed / PACE;
        self.replayed = self.replayed.saturating_add(observed.count);
        if self.replayed / PACE != before {
            out::note(&format!("{} decisions, {} change", self.replayed, self.changed));
        }
        if allowed == observed.allowed {
            return;
        }
        let Observed { principal, actions, resources, ip, count, .. } = observed;
        self.changed = self.changed.saturating_add(count);
        let change = Change { principal, actions, resources, ip, allowed, rule };
        if self.changes.len() >= CHANGES_MAX && !self.changes.contains_key(&change) {
            self.untold = self.untold.saturating_add(count);
            return;
        }
        *self.changes.entry(change).or_default() += count;
    }

    /// Whether it is allowed now, and the rule that decides; `None` if the record does not say enough for that.
    fn decided(&self, observed: &Observed) -> Option<(bool, String)> {
        let Observed { principal, ip, time, .. } = observed;
        let is_super = |name: &str| name == NODE || self.supers.iter().any(|s| s == name);
        if principal.strip_prefix("user:").is_some_and(is_super) {
            return Some((true, "a Super user".to_owned()));
        }
        let at = Circumstances::at(*time, *ip, self.channel);
        let message =
            observed.message.as_ref().map_or_else(Message::default, |sent| sent.message());
        let (mut denied, mut allowed) = (None, None);
        let (mut asked, mut refused) = (0, 0);
        for resource in observed.resources.split(',') {
            for action in observed.actions.split(',') {
                let (who, ask) = Question { principal, action, resource }.read().ok()?;
                let decision = self.set.index().decide_on(who, &ask, &at, &message);
                let by = decide::rule(decision.rule.as_ref());
                asked += 1;
                if decision.allowed {
                    allowed.get_or_insert(by);
                } else {
                    refused += 1;
                    denied.get_or_insert(by);
                }
            }
        }
        // Which action was to be done to which resource is not recorded, if there are several of both.
        let is_exact = !observed.resources.contains(',') || !observed.actions.contains(',');
        if refused == 0 {
            allowed.map(|by| (true, by))
        } else {
            denied.filter(|_| is_exact || refused == asked).map(|by| (false, by))
        }
    }

    fn notes(&self, is_audit: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if is_audit {
            notes.push(SAMPLED.to_owned());
            if self.set.index().asks_for_messages() {
                notes.push(
                    "where a record does not say which message it was, a normal one of one byte without a tag is asked for"
                        .to_owned(),
                );
            }
        }
        if self.unclear > 0 {
            let unclear = self.unclear;
            notes.push(format!("{unclear} do not say enough to be decided again (admin commands, lines that are cut)"));
        }
        notes
    }

    fn print(&self, notes: &[String], as_json: bool) -> anyhow::Result<()> {
        let mut all: Vec<(&Change, &u64)> = self.changes.iter().collect();
        let place = |change: &Change| {
            let Change { principal, actions, resources, ip, rule, .. } = change;
            [principal.clone(), actions.clone(), resources.clone(), ip.to_string(), rule.clone()]
        };
        all.sort_by_cached_key(|(change, count)| (std::cmp::Reverse(**count), place(change)));
        let untold: u64 = all.iter().skip(ROWS_MAX).map(|(_, count)| **count).sum();
        let untold = untold.saturating_add(self.untold);
        all.truncate(ROWS_MAX);
        let header = ["principal", "action", "resource", "from", "then", "now", "count", "by"];
        let mut table = Table::new(&header);
        let mut rows: Vec<Value> = Vec::new();
        for (change, count) in all {
            let [principal, action, resource, ip, by] = place(change);
            let (then, now) = (decide::word(!change.allowed), decide::word(change.allowed));
            rows.push(json!({
                "principal": principal, "action": action, "resource": resource, "from": ip,
                "then": then, "now": now, "count": count, "by": by,
            }));
            let cells =
                [principal, action, resource, ip, then.into(), now.into(), count.to_string(), by];
            table.row(cells.map(|cell| out::foreign(&cell).into_owned()));
        }
        let Self { replayed, changed, .. } = self;
        let mut text = if table.is_empty() { String::new() } else { table.to_string() };
        if untold > 0 {
            text.push_str(&format!("and {untold} decisions more\n"));
        }
        text.push_str(&format!("{changed} of {replayed} decisions change\n"));
        for note in notes {
            text.push_str(&format!("note: {note}\n"));
        }
        let json = json!({
            "replayed": replayed, "changed": changed, "changes": rows, "untold": untold,
            "unclear": self.unclear, "notes": notes,
        });
        print(as_json, &text, &json)
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_authz::{File, Files, Mode};

    use super::*;

    fn set(rules: &str) -> Policies {
        let file = File { name: "a.csv".into(), text: rules.into() };
        Policies::check(&Files::new(vec![file]).unwrap(), Mode::DenyOverride).unwrap()
    }

    /// A record of an audit log.
    fn record(kind: &str, (action, resource): (&str, &str), by: &str, more: &Value) -> Value {
        let mut record = json!({
            "time": 1_795_836_677_000_i64,
            "activity_name": action,
            "actor": { "user": { "name": "a", "type_id": 1 } },
            "src_endpoint": { "ip": "10.0.0.7", "port": 4 },
            "resources": [{ "name": resource }],
            "policy": { "name": by },
            "unmapped": { "kind": kind, "outcome": "refused" },
        });
        let fields = more.as_object().into_iter().flatten();
        fields.for_each(|(key, value)| record[key] = value.clone());
        record
    }

    /// What changes, the most frequent first, and how many did not say enough.
    fn simulated(rules: &str, supers: &[&str], records: &[Value]) -> (Vec<String>, u64) {
        let set = set(rules);
        let supers: Vec<String> = supers.iter().map(|&name| name.to_owned()).collect();
        let mut simulation = Simulation::new(&set, &supers, Channel::Plain);
        for record in records {
            simulation.record(serde_json::from_value(record.clone()).ok().as_ref());
        }
        let line = |(change, count): (&Change, &u64)| {
            let Change { principal, actions, resources, ip, allowed, rule } = change;
            format!("{count} {principal} {actions} {resources} {ip} {allowed} {rule}")
        };
        let mut lines: Vec<String> = simulation.changes.iter().map(line).collect();
        lines.sort();
        assert_eq!(simulation.changed, simulation.changes.values().sum::<u64>());
        (lines, simulation.unclear)
    }

    const RULES: &str = "p, user:a, *, Topic:t, Pub, ip=10.0.0.0/8;day=sat, allow\n\
                         p, user:a, *, Topic:big, Pub, size<=9;tag=x, allow\n\
                         p, user:a, *, Group:g, Sub, -, allow\n";

    #[test]
    fn what_was_refused_and_would_be_allowed_is_told_with_its_rule_and_count() {
        let refused = |what, more| record("authorization", what, "authz", &more);
        let records = [
            refused(("Pub", "topic:t"), json!({})),
            refused(("Pub", "topic:t"), json!({ "count": 41 })),
            refused(("Pub", "topic:t"), json!({ "src_endpoint": { "ip": "11.0.0.1", "port": 1 } })),
            refused(("Pub", "topic:t"), json!({ "time": 1_795_736_677_000_i64 })),
            refused(("Pub", "topic:t"), json!({ "actor": { "user": { "name": "anonymous" } } })),
            refused(("Pub", "topic:other"), json!({})),
            refused(("Sub", "topic:t,group:g"), json!({})),
        ];
        let (changes, unclear) = simulated(RULES, &[], &records);
        assert_eq!(changes, ["42 user:a Pub topic:t 10.0.0.7 true a.csv:1"]);
        assert_eq!(unclear, 0);
    }

    #[test]
    fn what_a_plugin_refused_or_changed_the_policies_had_allowed() {
        let records = [
            record("authorization", ("Pub", "topic:u"), "acl-plugin", &json!({})),
            record("send", ("Pub", "topic:t"), "filter", &json!({})),
            record("delivery", ("Sub", "topic:t,group:g"), "mask", &json!({})),
            record("connection", ("open", ""), "", &json!({})),
            record("admin_command", ("UPDATE", "t"), "", &json!({})),
        ];
        let (changes, unclear) = simulated(RULES, &[], &records);
        assert_eq!(
            changes,
            [
                "1 user:a Pub topic:u 10.0.0.7 false no rule",
                "1 user:a Sub topic:t,group:g 10.0.0.7 false no rule",
            ]
        );
        assert_eq!(unclear, 1);
        assert_eq!(simulated(RULES, &["a"], &records).0, [""; 0]);
    }

    #[test]
    fn what_a_node_asks_of_itself_changes_with_no_policies() {
        let by = |name: &str| {
            let user = json!({ "user": { "name": name, "type_id": 1 } });
            record("route_query", ("", "topic:u"), "filter", &json!({ "actor": user }))
        };
        let (changes, unclear) = simulated(RULES, &[], &[by("$node"), by("b")]);
        assert_eq!(changes, ["1 user:b Get topic:u 10.0.0.7 false no rule"]);
        assert_eq!(unclear, 0);
    }

    #[test]
    fn a_message_that_was_refused_is_asked_for_as_it_was() {
        let refused = |message: &str| {
            let detail = format!("user:a: Pub Topic:big: denied by a.csv:7: {message}");
            record("send", ("Pub", "topic:big"), "authz", &json!({ "status_detail": detail }))
        };
        let records = [
            refused("normal, 9 bytes, tag \"x\""),
            refused("normal, 10 bytes, tag \"x\""),
            refused("normal, 9 bytes, tag \"\""),
            refused("odd, 9 bytes, tag \"x\""),
        ];
        let (changes, unclear) = simulated(RULES, &[], &records);
        assert_eq!(changes, ["1 user:a Pub topic:big 10.0.0.7 true a.csv:2"]);
        assert_eq!(unclear, 1);
    }

    #[test]
    fn several_actions_on_several_things_are_told_only_where_they_must_be_so() {
        let refused = |what| record("authorization", what, "authz", &json!({}));
        let both = [refused(("Sub,Get", "topic:t,group:g"))];
        // `Sub` may have been meant of the group alone.
        assert_eq!(simulated(RULES, &[], &both), (vec![], 1));
        let rules = [RULES, "p, *, *, Topic:t, Sub, -, allow\n"].concat();
        let (changes, unclear) = simulated(&rules, &[], &both);
        assert_eq!((changes.len(), unclear), (1, 0));
    }

    #[test]
    fn recorded_messages_were_allowed() {
        let now = blockhouse_model::Timestamp(0);
        let set = set(RULES);
        let mut simulation = Simulation::new(&set, &[], Channel::Plain);
        for (size, tag) in [(9, "x"), (10, "x"), (10, "x"), (9, "y")] {
            let line = json!({
                "topic": "big", "properties": { "TAGS": tag }, "bornHost": "10.0.0.7:1",
                "bornTimestamp": 1, "body": "b".repeat(size),
            });
            let line = line.to_string();
            simulation.decide(of_message(line.as_bytes(), "user:a", now).unwrap());
        }
        assert_eq!((simulation.replayed, simulation.changed, simulation.changes.len()), (4, 3, 1));
        for (principal, changed) in [("user:a", 3), ("user:b", 4), ("nobody", 4)] {
            let line = json!({ "topic": "t", "body": "b", "bornHost": "10.0.0.7:1",
                "bornTimestamp": 1_795_836_677_000_i64, "principal": principal });
            simulation.decide(of_message(line.to_string().as_bytes(), "user:b", now).unwrap());
            assert_eq!(simulation.changed, changed, "{principal}");
        }
        // What is no principal cannot be asked for.
        assert_eq!((simulation.replayed, simulation.unclear), (6, 1));
        assert_eq!(of_message(b"{}", "user:a", now), None);
    }

    #[test]
    fn changes_are_told_apart_up_to_a_bound() {
        let set = set(RULES);
        let mut simulation = Simulation::new(&set, &[], Channel::Plain);
        for i in 0..=CHANGES_MAX {
            let resource = format!("topic:u{i}");
            let record = record("send", ("Pub", &resource), "filter", &json!({}));
            simulation.record(serde_json::from_value(record).ok().as_ref());
        }
        assert_eq!((simulation.changes.len(), simulation.untold), (CHANGES_MAX, 1));
        assert_eq!(simulation.changed, CHANGES_MAX as u64 + 1);
    }
}
