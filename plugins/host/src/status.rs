//! What is told of plugins.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::Failure;
use crate::binding::{Binding, Mode};
use crate::contract::imported::metrics::Kind;
use crate::interface::Interface;
use crate::plugin::{Loaded, Plugin};
use crate::record::Entry;
use crate::said::Said;

/// Where a binding comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The configuration.
    Configuration,
    /// It was deployed on the running node.
    Deployed,
}

/// How a plugin does, to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Status {
    /// The binding.
    pub name: String,
    /// The component.
    pub digest: String,
    /// What its manifest says; `None` if that is not known.
    pub version: Option<String>,
    /// Where the binding comes from.
    pub source: Source,
    /// Whether it was taken out.
    pub disabled: bool,
    /// Whether it is new, and compared with the version before.
    pub watched: bool,
    /// Whether it could be loaded.
    pub loaded: bool,
    /// Why it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether its answers take effect.
    pub mode: Mode,
    /// Whether it is left alone because it failed too often.
    pub breaker_open: bool,
    /// Instances, ready and at work.
    pub instances: u64,
    /// Bytes of their linear memory.
    pub memory_bytes: u64,
    /// Instances that were replaced because they said that they were not well, or did not say.
    pub unhealthy: u64,
    /// How it is bound, without its `config`.
    pub binding: Binding,
    /// What was counted, by hook.
    pub hooks: Vec<HookStatus>,
    /// Metrics that the plugin made itself.
    pub metrics: Vec<CustomMetric>,
    /// What its binding lets it import.
    pub grants: Vec<String>,
    /// Versions that are not in force.
    pub history: Vec<Past>,
}

/// A version that is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// The component.
    pub digest: String,
    /// What its manifest says.
    pub version: Option<String>,
    /// `previous`: a rollback brings it back; `rejected`: the node took it out.
    pub state: &'static str,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A metric that a plugin made itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomMetric {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub help: String,
    /// A counter's count, or how many values a histogram saw.
    pub count: u64,
    /// A gauge's value, or the sum of what a histogram saw.
    pub value: f64,
    /// What it does.
    pub kind: CustomKind,
    /// A histogram's bounds, and how many values are at most as large.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<(f64, u64)>,
}

/// What a metric that a plugin made itself does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CustomKind {
    /// It only goes up.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values by size.
    Histogram,
}

/// What was counted of one hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookStatus {
    /// The hook.
    pub hook: Interface,
    /// Calls, those that failed included.
    pub calls: u64,
    /// Messages, or requests where there are none.
    pub messages: u64,
    /// Time in the plugin, in nanoseconds.
    pub nanoseconds: u64,
    /// Answers that were not "go on"; in shadow mode they had no effect.
    pub objections: u64,
    /// The same by what they say; what was not said is not there.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// Messages or requests that went on though a shadow would have decided otherwise, or failed and
    /// would have refused them. `None` in other modes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disagreements: Option<u64>,
    /// Calls that failed, by kind; a kind that did not happen is not there.
    pub failures: BTreeMap<&'static str, u64>,
    /// Events for which the queue had no room.
    pub lost: u64,
}

pub(crate) fn past(entry: Option<&Entry>) -> Vec<Past> {
    let Some(entry) = entry else { return Vec::new() };
    let previous = entry.previous.iter().map(|kept| Past {
        digest: kept.binding.digest.clone(),
        version: kept.version.clone(),
        state: "previous",
        reason: None,
    });
    let rejected = entry.rejected.iter().map(|rejected| Past {
        digest: rejected.digest.clone(),
        version: rejected.version.clone(),
        state: "rejected",
        reason: Some(rejected.reason.clone()),
    });
    previous.chain(rejected).collect()
}

pub(crate) fn custom(loaded: &Loaded) -> Vec<CustomMetric> {
    let all = loaded.blueprint.shared.metrics.all().into_iter();
    all.map(|custom| CustomMetric {
        name: custom.name.clone(),
        help: custom.help.clone(),
        count: custom.count.load(Ordering::Relaxed),
        value: f64::from_bits(custom.value.load(Ordering::Relaxed)),
        kind: match custom.kind {
            Kind::Counter => CustomKind::Counter,
            Kind::Gauge => CustomKind::Gauge,
            Kind::Histogram => CustomKind::Histogram,
        },
        buckets: custom.buckets(),
    })
    .collect()
}

pub(crate) fn counted(plugin: &Plugin, hook: Interface) -> HookStatus {
    let counts = plugin.counts(hook);
    let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
    HookStatus {
        hook,
        calls: read(&counts.calls),
        messages: read(&counts.messages),
        nanoseconds: read(&counts.nanoseconds),
        objections: counts.verdicts.iter().map(read).sum(),
        verdicts: (Said::ALL.into_iter().zip(&counts.verdicts))
            .map(|(said, count)| (said.name(), read(count)))
            .filter(|(_, count)| *count > 0)
            .collect(),
        disagreements: plugin.is_shadow().then(|| read(&counts.disagreements)),
        failures: (Failure::KINDS.into_iter().zip(&counts.failures))
            .map(|(kind, count)| (kind, read(count)))
            .filter(|(_, count)| *count > 0)
            .collect(),
        lost: read(&counts.lost),
    }
}
