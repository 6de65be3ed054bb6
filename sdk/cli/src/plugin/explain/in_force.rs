//! The bindings in force on a node: its configuration's, and what was deployed on it, as it keeps that in its
//! data directory.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use blockhouse_disk::{RealDisk, whole};
use blockhouse_host::Binding;
use serde::Deserialize;

use crate::options::Config;
use crate::process::{Role, plugins};

/// The form of the file that is known here.
const FORMAT: u32 = 1;

/// A binding, and where it is from.
pub(super) struct InForce {
    pub(super) binding: Binding,
    pub(super) source: &'static str,
}

/// What a node would call, and what was taken out of it.
pub(super) struct Set {
    pub(super) bindings: Vec<InForce>,
    pub(super) disabled: Vec<String>,
}

/// What is read of `deployed.json`.
#[derive(Default, Deserialize)]
struct Deployed {
    format: u32,
    plugins: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    current: Option<Kept>,
    disabled: bool,
}

#[derive(Deserialize)]
struct Kept {
    binding: Binding,
}

impl Set {
    /// As a node of this role has it: what is deployed wins over the configuration.
    ///
    /// # Errors
    /// What was deployed cannot be read. The node would not start either.
    pub(super) fn of(config: &Config, role: Role) -> anyhow::Result<Self> {
        let mut set = Self { bindings: Vec::new(), disabled: Vec::new() };
        if !config.plugins.enabled {
            return Ok(set);
        }
        let own = config.plugins.binding.iter().cloned();
        let own =
            own.map(|binding| (binding.name.clone(), InForce { binding, source: "configuration" }));
        let mut all: BTreeMap<String, InForce> = own.collect();
        for (name, entry) in read(&plugins::dir(&config.node.data), role)?.plugins {
            if let Some(Kept { binding }) = entry.current {
                all.insert(name.clone(), InForce { binding, source: "deployed" });
            }
            if entry.disabled && all.remove(&name).is_some() {
                set.disabled.push(name);
            }
        }
        set.bindings = all.into_values().collect();
        set.bindings.sort_by_key(|bound| bound.binding.order);
        Ok(set)
    }
}

/// What was deployed; nothing where there is no file.
fn read(dir: &Path, role: Role) -> anyhow::Result<Deployed> {
    let name = if role.has_broker() { "deployed.json" } else { "deployed-namesrv.json" };
    let path = dir.join(name);
    let failed = || format!("{} cannot be read", path.display());
    let Some(bytes) = whole::read(&RealDisk, &path).with_context(failed)? else {
        return Ok(Deployed::default());
    };
    let deployed: Deployed = serde_json::from_slice(&bytes).with_context(failed)?;
    let format = deployed.format;
    ensure!(format == FORMAT, "{}: its format is {format}, not {FORMAT}", failed());
    Ok(deployed)
}
