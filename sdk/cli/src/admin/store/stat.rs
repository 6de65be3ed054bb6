//! What is there.

use anyhow::Context as _;
use blockhouse_store::examine::{Access, Survey, survey};

use super::bar::Bar;
use super::{SiteArgs, Stopped, Verdict, print_json};
use crate::cluster::Table;
use crate::out;
use crate::utc::time;

pub(super) fn run(args: &SiteArgs, as_json: bool) -> anyhow::Result<Verdict> {
    let stopped = Stopped::open(args, Access::Read)?;
    let bar = Bar::new("reading");
    let seen = survey(&stopped.site, &mut |done, of| bar.show(done, of));
    let seen = seen.context("cannot read the store")?;
    bar.finish();
    if as_json {
        print_json(&seen)?;
    } else {
        out::text(&as_text(&seen));
    }
    let whole = seen.log.damaged.is_empty();
    Ok(if whole { Verdict::Whole } else { Verdict::Damaged })
}

fn as_text(seen: &Survey) -> String {
    let log = &seen.log;
    let mut text = format!(
        "log         {} to {} in {} files of {} bytes\n\
         records     {} with {} bytes, stored {} to {}\n",
        log.begin,
        log.end,
        log.files,
        log.file_size,
        log.records,
        log.record_bytes,
        time(log.first_stored),
        time(log.last_stored),
    );
    let kinds = &seen.kinds;
    text.push_str(&format!(
        "kinds       {} normal, {} delayed, {} timer, {} half, {} op, {} rolled back, \
         {} placeholders\n",
        kinds.normal,
        kinds.delayed,
        kinds.timer,
        kinds.half,
        kinds.op,
        kinds.rolled_back,
        kinds.placeholders,
    ));
    text.push_str(&marks(seen));
    for range in &log.damaged {
        text.push_str(&format!("damaged     {} to {}: {}\n", range.from, range.to, range.problem));
    }
    text.push_str(&tables(seen));
    text
}

fn marks(seen: &Survey) -> String {
    let marks = &seen.marks;
    let mut text = format!(
        "last stop   {}\n",
        if marks.aborted { "not clean (abort is there)" } else { "clean" }
    );
    match marks.checkpoint {
        None => text.push_str("checkpoint  none\n"),
        Some(times) => text.push_str(&format!(
            "checkpoint  log {}, queues {}, index {}\n",
            time(times.physical),
            time(times.queues),
            time(times.index)
        )),
    }
    if let Some(own) = marks.own {
        let how = if own.clean { "clean" } else { "not clean" };
        text.push_str(&format!("blockhouse  applied up to {}, {how}\n", own.applied));
    }
    let files: Vec<_> = marks.blockhouse.iter().map(|f| f.name.as_str()).collect();
    let files =
        if files.is_empty() { "none: only Apache RocketMQ".to_owned() } else { files.join(" ") };
    text.push_str(&format!("own files   {files}\n"));
    text
}

fn tables(seen: &Survey) -> String {
    let mut queues =
        Table::new(&["topic", "queue", "min", "max", "records", "bytes", "last stored"]);
    for queue in &seen.queues {
        queues.row([
            queue.topic.clone(),
            queue.queue.to_string(),
            queue.min.to_string(),
            queue.max.to_string(),
            queue.records.to_string(),
            queue.bytes.to_string(),
            time(queue.last_stored),
        ]);
    }
    let mut index =
        Table::new(&["index", "entries", "of", "slots", "of", "from", "to", "last stored"]);
    for file in &seen.index {
        index.row([
            file.file.clone(),
            file.entries.to_string(),
            file.capacity.to_string(),
            file.slots_used.to_string(),
            file.slots.to_string(),
            file.begin.to_string(),
            file.end.to_string(),
            time(file.last_stored),
        ]);
    }
    let tables = [queues, index];
    let filled = tables.iter().filter(|table| !table.is_empty());
    filled.map(|table| format!("\n{table}")).collect()
}
