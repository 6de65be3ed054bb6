//! Printing records.

use anyhow::Context as _;
use blockhouse_model::{MessageId, SysFlag, properties};
use blockhouse_record::View;
use blockhouse_store::examine::{Access, Filter, dump};
use serde_json::{Map, Value, json};

use super::{SiteArgs, Stopped, Verdict};
use crate::out;
use crate::utc::time;

/// What the command line can say.
#[derive(Debug, clap::Args)]
pub(in crate::admin) struct DumpArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// Begin at this position of the log, or at the first record behind it
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// End before this position
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Only records of this topic
    #[arg(long)]
    topic: Option<String>,
    /// Only records of this queue
    #[arg(long, value_name = "ID")]
    queue: Option<u32>,
    /// Only records with this key or unique key
    #[arg(long)]
    key: Option<String>,
    /// Print at most so many records
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Print bodies, too
    #[arg(long)]
    body: bool,
}

pub(super) fn run(args: &DumpArgs, as_json: bool) -> anyhow::Result<Verdict> {
    let stopped = Stopped::open(&args.site, Access::Read)?;
    let filter = Filter {
        from: args.from,
        to: args.to,
        topic: args.topic.clone(),
        queue: args.queue,
        key: args.key.clone(),
        limit: args.limit,
    };
    let dumped = dump(&stopped.site, &filter, &mut |record| {
        out::try_line(&if as_json {
            to_json(record, args.body).to_string()
        } else {
            as_text(record, args.body)
        })
    });
    let dumped = dumped.context("cannot read the store")?;
    for range in &dumped.damaged {
        out::note(&format!("{} to {} cannot be read: {}", range.from, range.to, range.problem));
    }
    Ok(if dumped.damaged.is_empty() { Verdict::Whole } else { Verdict::Damaged })
}

/// The id by which a broker finds the record.
fn offset_id(record: &View<'_>) -> String {
    MessageId { host: record.store_host, offset: record.physical_offset }.to_string()
}

/// What the record is besides a message.
fn kind(flags: SysFlag) -> Option<&'static str> {
    match flags.transaction() {
        SysFlag::TRANSACTION_PREPARED => Some("prepared"),
        SysFlag::TRANSACTION_COMMIT => Some("committed"),
        SysFlag::TRANSACTION_ROLLBACK => Some("rolled-back"),
        _ => None,
    }
}

fn as_text(record: &View<'_>, with_body: bool) -> String {
    let mut line = format!(
        "{} {}/{}@{} {} bytes, body {}, stored {}, born {} at {}, id {}",
        record.physical_offset,
        record.topic,
        record.queue,
        record.queue_offset,
        record.bytes.len(),
        record.body.len(),
        time(record.store_timestamp.0),
        time(record.born_timestamp.0),
        record.born_host,
        offset_id(record),
    );
    let labels = [
        (properties::UNIQUE_KEY, "unique"),
        (properties::KEYS, "keys"),
        (properties::TAGS, "tags"),
    ];
    for (name, label) in labels {
        if let Some(value) = record.property(name) {
            line.push_str(&format!(", {label} {value}"));
        }
    }
    if let Some(kind) = kind(record.sys_flag) {
        line.push_str(&format!(", {kind}"));
    }
    if with_body {
        let is_text = !record.sys_flag.has(SysFlag::COMPRESSED);
        match std::str::from_utf8(record.body).ok().filter(|_| is_text) {
            // A body must not look like the line of another record.
            Some(text) => line.push_str(&format!("  {}", text.escape_debug())),
            None => line.push_str(&format!("  hex {}", hex(record.body))),
        }
    }
    line
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    blockhouse_model::id::push_hex(&mut text, bytes);
    text
}

fn to_json(record: &View<'_>, with_body: bool) -> Value {
    let pairs = properties::pairs(record.properties);
    let pairs: Map<String, Value> =
        pairs.map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut object = json!({
        "position": record.physical_offset.0,
        "size": record.bytes.len(),
        "topic": record.topic,
        "queue": record.queue.0,
        "offset": record.queue_offset.0,
        "offsetMsgId": offset_id(record),
        "msgId": record.property(properties::UNIQUE_KEY),
        "bornTimestamp": record.born_timestamp.0,
        "bornHost": record.born_host.to_string(),
        "storeTimestamp": record.store_timestamp.0,
        "storeHost": record.store_host.to_string(),
        "reconsumeTimes": record.reconsume_times,
        "preparedOffset": record.prepared_offset,
        "flag": record.flag,
        "sysFlag": record.sys_flag.0,
        "bodySize": record.body.len(),
        "properties": pairs,
    });
    if with_body {
        let is_text = !record.sys_flag.has(SysFlag::COMPRESSED);
        match std::str::from_utf8(record.body).ok().filter(|_| is_text) {
            Some(text) => object["body"] = text.into(),
            None => object["bodyHex"] = hex(record.body).into(),
        }
    }
    object
}
