//! The contract for a plugin in another language than Rust: the world of what its manifest names.

use std::fmt::Write as _;
use std::path::Path;

use blockhouse_disk::{Disk, whole};
use wit_parser::{Resolve, SourceMap, WorldId};

use crate::Error;

macro_rules! wit {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/0.1.0/", $name))),)*]
    };
}

/// The interfaces. The worlds there are for people to read.
const FILES: [(&str, &str); 22] = wit![
    "ack.wit",
    "admin-command.wit",
    "after-append.wit",
    "audit-sink.wit",
    "authenticate.wit",
    "authorize.wit",
    "before-deliver.wit",
    "before-send.wit",
    "broker-registration.wit",
    "clock.wit",
    "connection.wit",
    "enrich-span.wit",
    "http.wit",
    "kv.wit",
    "lifecycle.wit",
    "log.wit",
    "message-bodies.wit",
    "metrics.wit",
    "publish.wit",
    "pull.wit",
    "route-query.wit",
    "types.wit",
];

/// The name of the world.
pub(crate) const WORLD: &str = "plugin";

/// What a plugin exports and imports, by the names of the contract's interfaces. `lifecycle`,
/// which every plugin exports, and `types`, which has nothing to call, need not be named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// The manifest's `hooks`.
    pub hooks: Vec<String>,
    /// The interfaces of the manifest's `asks`.
    pub asks: Vec<String>,
}

impl World {
    fn text(&self) -> String {
        let mut text = format!("package blockhouse:plugin@0.1.0;\n\nworld {WORLD} {{\n");
        // Writing to a String cannot fail.
        for ask in &self.asks {
            let _infallible = writeln!(text, "    import {ask};");
        }
        for hook in std::iter::once("lifecycle").chain(self.hooks.iter().map(String::as_str)) {
            let _infallible = writeln!(text, "    export {hook};");
        }
        text + "}\n"
    }

    /// Puts the contract with this world into `directory`, for tools that read it from there.
    pub(crate) fn write(&self, disk: &dyn Disk, directory: &Path) -> Result<(), Error> {
        let world = self.text();
        let files = FILES.iter().map(|(name, text)| (*name, *text));
        for (name, text) in files.chain([("world.wit", world.as_str())]) {
            put(disk, &directory.join(name), text.as_bytes())?;
        }
        Ok(())
    }

    /// The contract with this world, for generators in this process.
    pub(crate) fn resolve(&self) -> Result<(Resolve, WorldId), Error> {
        let mut sources = SourceMap::new();
        for (name, text) in FILES {
            sources.push_str(name, text);
        }
        sources.push_str("world.wit", self.text());
        let wrong = |e: &dyn std::fmt::Display| Error::Wasm(format!("the world: {e}"));
        let group = sources.parse().map_err(|(_, e)| wrong(&e))?;
        let mut resolve = Resolve::default();
        let package = resolve.push_group(group).map_err(|e| wrong(&e))?;
        let world = resolve.select_world(&[package], Some(WORLD)).map_err(|e| wrong(&e))?;
        Ok((resolve, world))
    }
}

/// Writes what is generated, unless it is there already: compilers look at times.
pub(crate) fn put(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    if whole::read(disk, path).map_err(failed)?.as_deref() == Some(bytes) {
        return Ok(());
    }
    whole::replace(disk, path, bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_of_the_contract_can_be_in_a_world() {
        let (hooks, asks) = FILES
            .iter()
            .map(|(name, _)| name.trim_end_matches(".wit").to_owned())
            .filter(|name| name != "types" && name != "lifecycle")
            .partition(|name| {
                !matches!(
                    name.as_str(),
                    "clock" | "http" | "kv" | "log" | "message-bodies" | "metrics" | "publish"
                )
            });
        let world = World { hooks, asks };
        let (resolve, id) = world.resolve().unwrap();
        assert_eq!(resolve.worlds[id].exports.len(), 14);
        // With `types`.
        assert_eq!(resolve.worlds[id].imports.len(), 8);
    }

    #[test]
    fn an_interface_that_is_not_there_is_named() {
        let world = World { hooks: vec!["brew-coffee".to_owned()], asks: Vec::new() };
        let told = world.resolve().unwrap_err().to_string();
        assert!(told.contains("brew-coffee"), "{told}");
    }
}
