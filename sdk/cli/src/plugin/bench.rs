//! What a call costs, through the hook as the node calls it: scope, breaker, instance, deadline,
//! counting, copying in and out.

use std::borrow::Cow;
use std::time::Duration;

use blockhouse_hook::{Decision, Delivery, Draft, HookChain, Outbound, Point};
use blockhouse_model::{Clock, QueueId, QueueOffset, RequestContext};
use blockhouse_service::SystemClock;
use serde_json::{Value, json};

use super::engine::{self, Running};
use crate::cluster::Table;
use crate::{out, wrong_use};

pub(super) const EXAMPLES: &str = "\
The median of five rounds, without what making the messages costs. The plugin gets the `config` of --binding; \
without it an empty one, with which many plugins have little to do.

Examples:
  blockhouse plugin bench
  blockhouse plugin bench orders-guard.wasm --binding node.toml --json";

const BATCHES: [usize; 4] = [1, 8, 32, 128];
const BODIES: [usize; 2] = [256, 1_024];
const ROUNDS: usize = 5;
/// One in so many calls may fail.
const FAILED_SHARE: u64 = 200;
const PROPERTIES: &str =
    "TAGS\u{1}red\u{2}KEYS\u{1}order-17\u{2}UNIQ_KEY\u{1}C0A80001\u{2}WAIT\u{1}true\u{2}";
const TOPIC: &str = "orders";
const GROUP: &str = "bench";

/// What to measure.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    engine: engine::PluginArgs,
    /// How long each of a row's rounds takes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    round_ms: u64,
}

/// Measures and tells.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let package = args.engine.package()?;
    let running = Running::start(&package, args.engine.binding(&package)?)?;
    let points = [(Point::BeforeSend, "before-send"), (Point::BeforeDeliver, "before-deliver")];
    let points: Vec<_> = points.iter().filter(|(point, _)| running.chain.has(*point)).collect();
    if points.is_empty() {
        return Err(wrong_use("the plugin exports neither before-send nor before-deliver"));
    }
    if cfg!(debug_assertions) {
        out::note("note: this is a build for debugging; the host's part of a call is slower in it");
    }
    let clock = SystemClock::new();
    let mut table = Table::new(&["hook", "body", "batch", "ns/message", "ns/call"]);
    let mut rows: Vec<Value> = Vec::new();
    for (point, name) in points {
        for body in BODIES {
            for batch in BATCHES {
                let body_bytes = vec![b'x'; body];
                let load = Load { point: *point, body: &body_bytes, batch };
                let call = load.cost(&running.chain, &clock, args.round_ms);
                let each = call / u64::try_from(batch).unwrap_or(1);
                table.row([
                    (*name).to_owned(),
                    body.to_string(),
                    batch.to_string(),
                    each.to_string(),
                    call.to_string(),
                ]);
                rows.push(json!({
                    "hook": name, "body": body, "batch": batch,
                    "nsPerMessage": each, "nsPerCall": call,
                }));
            }
        }
    }
    let failures = running.failures();
    super::print(as_json, &table.to_string(), &json!({ "rows": rows, "failures": failures }))?;
    let list: Vec<_> = failures.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let failed: u64 = failures.iter().map(|(_, count)| count).sum();
    // A busy machine may hold up one call in thousands; that moves no median.
    if failed * FAILED_SHARE > running.calls() {
        anyhow::bail!("calls failed, so the figures mean nothing: {}", list.join(", "));
    }
    if failed > 0 {
        out::note(&format!(
            "note: {failed} of {} calls failed: {}",
            running.calls(),
            list.join(", ")
        ));
    }
    Ok(())
}

/// The same messages again and again.
struct Load<'a> {
    point: Point,
    body: &'a [u8],
    batch: usize,
}

impl Load<'_> {
    /// Nanoseconds of one call, without what the messages themselves cost.
    fn cost(&self, chain: &HookChain, clock: &dyn Clock, round_ms: u64) -> u64 {
        let nothing = HookChain::new(&[]);
        let round = Duration::from_millis(round_ms);
        // Warms up code, instances and memory.
        self.round(chain, clock, round / 4);
        let mut costs: Vec<u64> = (0..ROUNDS)
            .map(|_| {
                let with = self.round(chain, clock, round);
                with.saturating_sub(self.round(&nothing, clock, round / 8))
            })
            .collect();
        costs.sort_unstable();
        costs[ROUNDS / 2]
    }

    /// Nanoseconds of one call and its messages, over at least `least`.
    fn round(&self, chain: &HookChain, clock: &dyn Clock, least: Duration) -> u64 {
        // So many calls between two looks at the clock that these do not count.
        const CALLS: u32 = 64;
        let cx = engine::request("anonymous", engine::SEND);
        let begun = clock.monotonic();
        let mut calls = 0_u32;
        loop {
            for _ in 0..CALLS {
                self.call(chain, &cx);
            }
            calls = calls.saturating_add(CALLS);
            let elapsed = clock.monotonic().saturating_sub(begun);
            if elapsed >= least {
                return u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX) / u64::from(calls);
            }
        }
    }

    fn call(&self, chain: &HookChain, cx: &RequestContext) {
        if self.point == Point::BeforeSend {
            let draft = || Draft {
                topic: TOPIC,
                producer_group: GROUP,
                queue: None,
                body: Cow::Borrowed(self.body),
                properties: Cow::Borrowed(PROPERTIES),
                decision: Decision::Admit,
            };
            let mut drafts: Vec<_> = std::iter::repeat_with(draft).take(self.batch).collect();
            chain.before_send(cx, &mut drafts);
            std::hint::black_box(&drafts);
            return;
        }
        let outbound = |offset| Outbound {
            queue_offset: QueueOffset(offset),
            properties: PROPERTIES,
            stored_body: self.body,
            body: None,
            keep: true,
        };
        let mut messages: Vec<_> = (0..).map(outbound).take(self.batch).collect();
        let delivery = Delivery { group: GROUP, topic: TOPIC, queue: QueueId(0) };
        let verdict = chain.before_deliver(cx, &delivery, &mut messages);
        std::hint::black_box((&verdict, &messages));
    }
}
