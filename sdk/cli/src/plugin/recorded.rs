//! Recorded traffic: messages of a live topic, kept beside the plugin and given to it in each test.

mod message;
mod replay;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::cases::{Outcome, in_order};
use super::engine::Running;
use super::files;
use crate::cluster::{ClusterArgs, block_on};
use crate::{out, wrong_use};
use message::Recorded;
use replay::Decisions;

/// Most messages of a recording.
const MESSAGES_MAX: u32 = 100_000;
/// Most bytes of a recording.
const BYTES_MAX: u64 = 256 << 20;

/// What to record and to replay.
#[derive(Debug, clap::Args)]
pub(super) struct RecordedArgs {
    /// First record the latest messages of this topic into recorded/TOPIC.jsonl
    #[arg(long, value_name = "TOPIC")]
    record: Option<String>,
    /// How many messages to record
    #[arg(long, value_name = "N", default_value_t = 100, requires = "record",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MESSAGES_MAX)))]
    messages: u32,
    /// Keep what the plugin decides on recorded messages; later runs that decide otherwise fail
    #[arg(long)]
    accept: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// A recording that was replayed.
pub(super) struct Replayed {
    file: String,
    decisions: Decisions,
    problems: Vec<String>,
}

impl RecordedArgs {
    /// Records, if that is asked for. What the messages are is the same as `consume --json` prints.
    pub(super) fn record(&self, plugin: &Path) -> anyhow::Result<()> {
        let Some(topic) = &self.record else { return Ok(()) };
        let dir = plugin.join("recorded");
        // A topic's name is a file's name: it has no separators.
        let name = topic.replace('%', "_");
        let messages = block_on(
            self.cluster.identity.is_given(),
            message::latest(&self.cluster, topic, self.messages),
        )?;
        anyhow::ensure!(!messages.is_empty(), "{topic} has no messages to record");
        let text: String = messages.iter().map(|message| format!("{message}\n")).collect();
        anyhow::ensure!(
            text.len() as u64 <= BYTES_MAX,
            "the messages are larger than {} MiB together: record fewer with --messages",
            BYTES_MAX >> 20
        );
        let path = dir.join(format!("{name}.jsonl"));
        files::write(&path, text.as_bytes())?;
        out::note(&format!(
            "Recorded {} messages of {topic} into {}. They may hold what others must not see.",
            messages.len(),
            path.display()
        ));
        Ok(())
    }

    /// Gives each recording to the plugin.
    pub(super) fn replay(
        &self,
        plugin: &Path,
        start: impl Fn() -> anyhow::Result<Running>,
    ) -> anyhow::Result<Vec<Replayed>> {
        let mut all = Vec::new();
        for path in in_order(&plugin.join("recorded"), "jsonl")? {
            let place = || path.display().to_string();
            let messages = Recorded::all(&files::long_text(&path, BYTES_MAX)?);
            let messages =
                messages.map_err(|e| wrong_use(format!("{}: {}", place(), crate::sentence(&e))))?;
            let running = start().with_context(place)?;
            let (decisions, failure) = replay::run(&messages, &running);
            let mut problems: Vec<String> = failure.into_iter().collect();
            let accepted = path.with_extension("decisions.json");
            if self.accept {
                let text = serde_json::to_vec_pretty(&decisions)?;
                files::write(&accepted, &text)?;
            } else if accepted.exists() {
                let before: Decisions =
                    serde_json::from_str(&files::long_text(&accepted, BYTES_MAX)?)
                        .map_err(|e| wrong_use(format!("{}: {e}", accepted.display())))?;
                problems.extend(decisions.differences(&before));
            }
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            all.push(Replayed { file, decisions, problems });
        }
        Ok(all)
    }
}

impl Replayed {
    /// What the plugin decided how often, a line per hook.
    pub(super) fn text(&self) -> String {
        let line =
            |(hook, counts): (&str, String)| format!("replayed {}: {hook}: {counts}\n", self.file);
        self.decisions.counted().into_iter().map(line).collect()
    }

    /// It as a case that passed or failed.
    pub(super) fn outcome(&self) -> Outcome {
        let problem = (!self.problems.is_empty()).then(|| self.problems.join("\n        "));
        Outcome { suite: self.file.clone(), case: "the recording".to_owned(), problem }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        json!({ "file": self.file, "decisions": self.decisions, "problems": self.problems })
    }
}

/// Where a plugin's recordings are: beside its sources, or beside the component.
pub(super) fn home(path: &Path) -> PathBuf {
    let dir = if path.is_dir() { Some(path) } else { path.parent() };
    dir.unwrap_or(Path::new("")).to_owned()
}
