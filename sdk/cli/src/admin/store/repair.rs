//! Mending.

use anyhow::Context as _;
use blockhouse_meta::examine::clamp;
use blockhouse_model::QueueOffset;
use blockhouse_store::examine::{Access, Plan, Step, plan, repair};
use serde_json::json;

use super::bar::Bar;
use super::check::{as_text, damage, lost, to_json, verdict};
use super::findings::table;
use super::stopped::Checked;
use super::{SiteArgs, Stopped, Verdict, print_json};
use crate::out;

/// What the command line can say.
#[derive(Debug, clap::Args)]
pub(in crate::admin) struct RepairArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Put placeholders over unreadable ranges inside the CommitLog, whose messages are lost
    #[arg(long)]
    skip_damaged: bool,
}

pub(super) fn run(args: &RepairArgs, as_json: bool) -> anyhow::Result<Verdict> {
    let access = if args.yes { Access::Write } else { Access::Read };
    let stopped = Stopped::open(&args.site, access)?;
    let checked = stopped.check()?;
    let plan = plan(&checked.report, args.skip_damaged);
    if !args.yes || plan.refused.is_some() {
        return tell(&checked, &plan, args, as_json);
    }
    let saved = mend(&stopped, &checked, &plan)?;
    drop(stopped);
    let again = Stopped::open(&args.site, Access::Read)?.check()?;
    if as_json {
        print_json(&json!({
            "plan": plan,
            "clamped": checked.ahead,
            "done": true,
            "saved": saved,
            "after": to_json(&again),
        }))?;
    } else {
        out::text(&steps(&checked, &plan, "Done"));
        if let Some(saved) = saved {
            out::line(&format!("What was overwritten is in {saved}."));
        }
        out::line("\nAfter the repair:");
        out::text(&as_text(&again));
    }
    Ok(verdict(&again))
}

/// A dry run, or a refusal.
fn tell(
    checked: &Checked,
    plan: &Plan,
    args: &RepairArgs,
    as_json: bool,
) -> anyhow::Result<Verdict> {
    if as_json {
        print_json(&json!({
            "plan": plan,
            "clamped": checked.ahead,
            "done": false,
            "before": to_json(checked),
        }))?;
        return Ok(verdict(checked));
    }
    out::text(&table(&checked.rows));
    out::text(&lost(&checked.report.lost, checked.report.lost_count));
    out::text(&steps(checked, plan, "A repair would"));
    if let Some(why) = &plan.refused {
        out::note(&format!("Nothing was changed: {why}."));
    } else if !args.yes && (!plan.steps.is_empty() || checked.ahead > 0) {
        out::line("Nothing was changed: add --yes to do it.");
    }
    Ok(verdict(checked))
}

fn steps(checked: &Checked, plan: &Plan, what: &str) -> String {
    let mut lines: Vec<String> = plan.steps.iter().map(Step::text).collect();
    if checked.ahead > 0 {
        lines.push(format!("set {} offsets to the ends of their queues", checked.ahead));
    }
    match (lines.is_empty(), damage(checked)) {
        (true, 0) => "Nothing is wrong, and there is nothing to do.\n".to_owned(),
        (true, _) => "There is nothing that a repair could do.\n".to_owned(),
        _ => format!("{what}:\n  {}\n", lines.join("\n  ")),
    }
}

/// Does it; gives where the overwritten files are.
fn mend(stopped: &Stopped, checked: &Checked, plan: &Plan) -> anyhow::Result<Option<String>> {
    if plan.steps.is_empty() && checked.ahead == 0 {
        return Ok(None);
    }
    let bar = Bar::new("mending");
    let report = &checked.report;
    let config: &[&str] = if checked.ahead > 0 {
        &[
            "config/consumerOffset.json",
            "config/consumerOffset.json.bak",
            "config/delayOffset.json",
            "config/delayOffset.json.bak",
            "blockhouse/offsets.log",
        ]
    } else {
        &[]
    };
    let repaired =
        repair(&stopped.site, (report, plan), config, &stopped.home.clock, &mut |done, of| {
            bar.show(done, of);
        });
    let repaired = repaired.context("the repair stopped half-way; run it again")?;
    bar.finish();
    if checked.ahead > 0 {
        let end = |topic: &str, queue| stopped.end(&checked.ends, topic, queue).map(QueueOffset);
        clamp(&stopped.home, &end).context("cannot set offsets")?;
    }
    Ok(Some(repaired.saved.display().to_string()))
}
