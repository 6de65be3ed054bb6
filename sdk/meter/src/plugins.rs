//! What plugins did, as whoever runs them counts it.

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
    /// Its hooks.
    pub hooks: Vec<PluginHookCounts>,
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
    /// Events for which the queue had no room.
    pub lost: u64,
    /// Calls that failed, by kind.
    pub failures: Vec<(&'static str, u64)>,
}

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
    let of_plugin: [Column<PluginCounts>; 3] = [
        (&c::PLUGIN_LOADED, |plugin| f64::from(u8::from(plugin.loaded))),
        (&c::PLUGIN_BREAKER_OPEN, |plugin| f64::from(u8::from(plugin.breaker_open))),
        (&c::PLUGIN_INSTANCES, |plugin| plugin.instances as f64),
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
    for plugin in plugins {
        for hook in &plugin.hooks {
            for (kind, count) in &hook.failures {
                let labels = &[&*plugin.plugin, hook.hook, kind];
                visit(&Sample { metric: &c::PLUGIN_FAILURES, labels, value: *count as f64 });
            }
        }
    }
}
