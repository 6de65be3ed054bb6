//! What every plugin is.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Node, ProcessEvent, Wants};

/// A plugin: one value per instance, made by [`Plugin::init`]. Instances share nothing but
/// [`crate::kv`].
pub trait Plugin: Sized + 'static {
    /// The binding's `config` table. [`NoConfig`] for plugins without one.
    type Config: DeserializeOwned;

    /// Makes the instance ready.
    ///
    /// # Errors
    /// What the operator must put right; the plugin is not loaded.
    fn init(node: &Node, config: Self::Config) -> Result<Self, String>;

    /// What the plugin asks of the host. Without this method: no bodies, the host's batch size, no
    /// client ids, no state.
    fn wants(&self) -> Wants {
        Wants::default()
    }

    /// Whether the instance can do its work.
    ///
    /// # Errors
    /// What keeps it from that.
    fn health(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// The configuration is another one now. Without this method the plugin is made anew by
    /// [`Plugin::init`], and what it kept is lost.
    ///
    /// # Errors
    /// What is wrong with the new one; the former stays in force.
    fn config_changed(&mut self, node: &Node, config: Self::Config) -> Result<(), String> {
        *self = Self::init(node, config)?;
        Ok(())
    }

    /// The process changes state.
    fn process_changed(&mut self, _event: ProcessEvent) {}

    /// No call follows this one.
    fn drain(&mut self) {}
}

/// The configuration of a plugin that has none: an empty table; anything in it is an error.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}
