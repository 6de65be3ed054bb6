//! What plugins did, as whoever runs them counts it.

use std::collections::BTreeMap;

use crate::catalogue as c;
use crate::{Metric, Sample};

/// A plugin at one moment.
#[derive(Clone, Debug, Default)]
pub struct PluginCounts {
    /// The binding.
    pub plugin: String,
    /// Whether it could be loaded.
    pub loaded: bool,
    /// Whether it is left alone because it failed too often.
    pub breaker_open: bool,
    /// Instances, ready and at work.
    pub instances: u64,
    /// Bytes of their linear memory.
    pub memory_bytes: u64,
    /// Instances that were replaced because they were not well.
    pub unhealthy: u64,
    /// Its hooks.
    pub hooks: Vec<PluginHookCounts>,
    /// The metrics that it made itself.
    pub custom: Vec<CustomCounts>,
}

/// A metric that a plugin made itself.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomCounts {
    /// Its name, without [`CUSTOM_PREFIX`].
    pub name: String,
    /// What it is about.
    pub help: String,
    /// What was counted.
    pub value: CustomValue,
}

/// What was counted with a metric of a plugin's.
#[derive(Clone, Debug, PartialEq)]
pub enum CustomValue {
    /// It only goes up.
    Counter(u64),
    /// It goes up and down.
    Gauge(f64),
    /// Values by size.
    Histogram {
        /// How many.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Bounds, and how many values are at most as large.
        buckets: Vec<(f64, u64)>,
    },
}

/// What the names of plugins' own metrics begin with.
pub const CUSTOM_PREFIX: &str = "blockhouse_plugin_custom_";

/// Plugins' own metrics of one name and kind, each with its plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomFamily {
    /// The whole name.
    pub name: String,
    /// What it is about, in the words of the first.
    pub help: String,
    /// The plugin and what it counted.
    pub values: Vec<(String, CustomValue)>,
}

/// Puts plugins' own metrics together by name. A name has one kind, that of the first plugin in
/// their order: what others mean by it is left out, since no reader could take both.
pub(crate) fn families(plugins: Vec<PluginCounts>) -> Vec<CustomFamily> {
    let mut families: BTreeMap<String, CustomFamily> = BTreeMap::new();
    for plugin in plugins {
        for CustomCounts { name, help, value } in plugin.custom {
            let family = families.entry(name).or_insert_with_key(|name| CustomFamily {
                name: [CUSTOM_PREFIX, name].concat(),
                help,
                values: Vec::new(),
            });
            let kind = std::mem::discriminant(&value);
            let first = family.values.first();
            if first.is_none_or(|(_, first)| std::mem::discriminant(first) == kind) {
                family.values.push((plugin.plugin.clone(), value));
            }
        }
    }
    families.into_values().collect()
}

/// One hook of a plugin at one moment.
#[derive(Clone, Debug, Default)]
pub struct PluginHookCounts {
    /// The hook's name in the contract.
    pub hook: &'static str,
    /// Calls, those that failed included.
    pub calls: u64,
    /// Messages, or requests where there are none.
    pub messages: u64,
    /// Time in the plugin, in nanoseconds.
    pub nanoseconds: u64,
    /// Answers that were not "go on".
    pub objections: u64,
    /// The same by what they say.
    pub verdicts: Vec<(&'static str, u64)>,
    /// What went on though a shadow would have decided otherwise; `None` in other modes.
    pub disagreements: Option<u64>,
    /// Events for which the queue had no room.
    pub lost: u64,
    /// Calls that failed, by kind.
    pub failures: Vec<(&'static str, u64)>,
}

/// Where compiled code came from; what was refused is compiled as well.
pub const CODE_SOURCES: [&str; 3] = ["cache", "compiled", "refused"];

/// What became of changes of plugins, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct PluginChanges {
    /// All changes that the node has seen.
    pub generation: u64,
    /// Made.
    pub done: u64,
    /// Refused; nothing changed.
    pub refused: u64,
    /// Taken back by the node itself.
    pub reverted: u64,
}

/// Tells what became of changes of plugins.
pub type ChangeSource = Box<dyn Fn() -> PluginChanges + Send + Sync>;

/// Hands what became of changes to `visit`.
pub(crate) fn read_changes(changes: PluginChanges, visit: &mut dyn FnMut(&Sample<'_>)) {
    let generation = changes.generation as f64;
    visit(&Sample { metric: &c::PLUGIN_GENERATION, labels: &[], value: generation });
    for (outcome, count) in
        [("done", changes.done), ("refused", changes.refused), ("reverted", changes.reverted)]
    {
        let (metric, labels) = (&c::PLUGIN_CHANGES, &[outcome]);
        visit(&Sample { metric, labels, value: count as f64 });
    }
}

/// Reads the plugins of the process.
pub type PluginSource = Box<dyn Fn() -> Vec<PluginCounts> + Send + Sync>;

/// A metric, and its value of one thing.
type Column<T> = (&'static Metric, fn(&T) -> f64);

/// Hands the plugins' values to `visit`, samples of one metric one after the other.
pub(crate) fn read(plugins: &[PluginCounts], visit: &mut dyn FnMut(&Sample<'_>)) {
    let of_plugin: [Column<PluginCounts>; 5] = [
        (&c::PLUGIN_LOADED, |plugin| f64::from(u8::from(plugin.loaded))),
        (&c::PLUGIN_BREAKER_OPEN, |plugin| f64::from(u8::from(plugin.breaker_open))),
        (&c::PLUGIN_INSTANCES, |plugin| plugin.instances as f64),
        (&c::PLUGIN_MEMORY, |plugin| plugin.memory_bytes as f64),
        (&c::PLUGIN_UNHEALTHY, |plugin| plugin.unhealthy as f64),
    ];
    for (metric, value) in of_plugin {
        for plugin in plugins {
            visit(&Sample { metric, labels: &[&plugin.plugin], value: value(plugin) });
        }
    }
    let of_hook: [Column<PluginHookCounts>; 5] = [
        (&c::PLUGIN_CALLS, |hook| hook.calls as f64),
        (&c::PLUGIN_MESSAGES, |hook| hook.messages as f64),
        (&c::PLUGIN_SECONDS, |hook| hook.nanoseconds as f64 / 1e9),
        (&c::PLUGIN_OBJECTIONS, |hook| hook.objections as f64),
        (&c::PLUGIN_EVENTS_LOST, |hook| hook.lost as f64),
    ];
    for (metric, value) in of_hook {
        for plugin in plugins {
            for hook in &plugin.hooks {
                visit(&Sample { metric, labels: &[&plugin.plugin, hook.hook], value: value(hook) });
            }
        }
    }
    by_word(plugins, &c::PLUGIN_VERDICTS, |hook| hook.verdicts.as_slice(), visit);
    for plugin in plugins {
        for hook in &plugin.hooks {
            if let Some(count) = hook.disagreements {
                let (metric, labels) = (&c::PLUGIN_DISAGREEMENTS, &[&*plugin.plugin, hook.hook]);
                visit(&Sample { metric, labels, value: count as f64 });
            }
        }
    }
    by_word(plugins, &c::PLUGIN_FAILURES, |hook| hook.failures.as_slice(), visit);
}

/// Hands on what is counted by a word besides plugin and hook.
fn by_word(
    plugins: &[PluginCounts],
    metric: &'static Metric,
    counts: fn(&PluginHookCounts) -> &[(&'static str, u64)],
    visit: &mut dyn FnMut(&Sample<'_>),
) {
    for plugin in plugins {
        for hook in &plugin.hooks {
            for (word, count) in counts(hook) {
                let labels = &[&*plugin.plugin, hook.hook, word];
                visit(&Sample { metric, labels, value: *count as f64 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_kind_of_the_first() {
        let plugin = |name: &str, custom: &[(&str, CustomValue)]| PluginCounts {
            plugin: name.to_owned(),
            custom: (custom.iter().cloned())
                .map(|(name, value)| CustomCounts {
                    name: name.to_owned(),
                    help: "help".to_owned(),
                    value,
                })
                .collect(),
            ..PluginCounts::default()
        };
        let families = families(vec![
            plugin("a", &[("hits", CustomValue::Counter(1)), ("size", CustomValue::Gauge(2.0))]),
            plugin("b", &[("hits", CustomValue::Gauge(3.0)), ("size", CustomValue::Gauge(4.0))]),
            plugin("c", &[("hits", CustomValue::Counter(5))]),
        ]);
        let seen: Vec<(&str, Vec<&str>)> = families
            .iter()
            .map(|family| {
                (&*family.name, family.values.iter().map(|(plugin, _)| &**plugin).collect())
            })
            .collect();
        let expected = [
            ("blockhouse_plugin_custom_hits", vec!["a", "c"]),
            ("blockhouse_plugin_custom_size", vec!["a", "b"]),
        ];
        assert_eq!(seen, expected);
    }
}
