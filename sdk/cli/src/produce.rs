//! Sending messages from a terminal or a script.

use std::io::{BufRead, IsTerminal as _};

use anyhow::Context as _;
use blockhouse_client::{Outgoing, Producer, Sent};
use blockhouse_model::names;
use serde_json::json;

use crate::cluster::{ClusterArgs, block_on};
use crate::{out, wrong_use};

const EXAMPLES: &str = "\
Examples:
  blockhouse produce TopicTest 'hello, world'
  blockhouse produce TopicTest 'one' 'two' --tag TagA --key order-17 \\
      --property colour=red
  seq 1 1000 | blockhouse produce TopicTest";

/// What the command line can say.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to; brokers that allow it create an unknown topic
    topic: String,
    /// The messages; without any, each line of stdin is one, whatever its bytes
    messages: Vec<String>,
    /// The tag that consumers can filter by
    #[arg(long)]
    tag: Option<String>,
    /// A key that messages can be found by, without spaces; may be given several times
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// A property; may be given several times
    #[arg(long = "property", short = 'p', value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// The producer group
    #[arg(long, default_value = "blockhouse-produce")]
    group: String,
    /// Do not wait for the broker's answer
    #[arg(long)]
    one_way: bool,
    /// Print one JSON object per message
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Does it.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    block_on(args.cluster.identity.is_given(), async move { send_all(&args).await })
}

async fn send_all(args: &Args) -> anyhow::Result<()> {
    names::check_topic(&args.topic).map_err(|error| wrong_use(error.to_string()))?;
    names::check_group(&args.group).map_err(|error| wrong_use(error.to_string()))?;
    let template = template(args)?;
    let client = args.cluster.client()?;
    let producer = Producer::new(&client, &args.group);
    if args.messages.is_empty() {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            out::note("Each line is a message; ctrl-D ends.");
        }
        let mut lines = stdin.lock();
        for number in 1.. {
            let line = read_line(&mut lines);
            let line = line.with_context(|| format!("cannot read line {number} of stdin"))?;
            let Some(line) = line else { break };
            // RocketMQ stores no empty bodies.
            if !line.is_empty() {
                let sent = send(args, &producer, &template, line).await;
                sent.with_context(|| format!("line {number} of stdin"))?;
            }
        }
    } else {
        for message in &args.messages {
            send(args, &producer, &template, message.clone().into_bytes()).await?;
        }
    }
    client.close().await;
    Ok(())
}

/// The next line without its end. Bodies are bytes, so lines need not be text.
fn read_line(lines: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if lines.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    for end in [b'\n', b'\r'] {
        if line.last() == Some(&end) {
            line.pop();
        } else {
            break;
        }
    }
    Ok(Some(line))
}

fn template(args: &Args) -> anyhow::Result<Outgoing> {
    let mut message = Outgoing::new(&args.topic, "");
    if let Some(tag) = &args.tag {
        message = message.tag(tag);
    }
    if let Some(key) = args.keys.iter().find(|k| k.is_empty() || k.contains(char::is_whitespace)) {
        return Err(wrong_use(format!(
            "--key `{key}` is no key: keys have no spaces; give --key once for each"
        )));
    }
    if !args.keys.is_empty() {
        message = message.keys(&args.keys.join(" "));
    }
    for property in &args.properties {
        let (name, value) = property
            .split_once('=')
            .ok_or_else(|| wrong_use(format!("--property {property} is not NAME=VALUE")))?;
        message = message.property(name, value);
    }
    Ok(message)
}

async fn send(
    args: &Args,
    producer: &Producer<'_>,
    template: &Outgoing,
    body: Vec<u8>,
) -> anyhow::Result<()> {
    let message = Outgoing { body: body.into(), ..template.clone() };
    let failed = || format!("cannot send to topic {}", args.topic);
    if args.one_way {
        let queue = producer.send_one_way(&message).await.with_context(failed)?;
        out::line(&format!("SENT {} {}", queue.broker_name, queue.queue_id));
        return Ok(());
    }
    let sent = producer.send(&message).await.with_context(failed)?;
    out::line(&if args.json { as_json(&sent) } else { as_text(&sent) });
    Ok(())
}

fn as_text(sent: &Sent) -> String {
    let Sent { status, queue, queue_offset, message_id, .. } = sent;
    format!(
        "{} {}/{} {queue_offset} {message_id}",
        status.name(),
        queue.broker_name,
        queue.queue_id
    )
}

fn as_json(sent: &Sent) -> String {
    json!({
        "status": sent.status.name(),
        "topic": sent.queue.topic,
        "broker": sent.queue.broker_name,
        "queue": sent.queue.queue_id,
        "offset": sent.queue_offset,
        "msgId": sent.message_id,
        "offsetMsgId": sent.offset_id,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bytes_and_end_as_text_lines_do() {
        let mut input: &[u8] = b"one\r\n\n\xff\0\r\rlast";
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut input).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, [&b"one"[..], b"", b"\xff\0\r\rlast"]);
    }
}
