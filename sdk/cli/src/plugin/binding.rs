//! The binding that an operator pastes for a plugin.

use std::fmt::Write as _;

use blockhouse_host::{Binding, Grants};
use blockhouse_package::{Capability, Manifest, Package};

/// Memory of an instance where a binding does not say.
const MEMORY_MIB: u64 = 16;

/// The least that makes the plugin run: everything granted that it asks for.
pub(super) fn toml(package: &Package) -> String {
    let manifest = package.manifest();
    let mut text = format!(
        "[[plugins.binding]]\nname = \"{}\"\ndigest = \"{}\"\n",
        manifest.name,
        package.digest()
    );
    let granted: Vec<String> = grantable(manifest).map(|name| format!("{name} = true")).collect();
    // Writing to a String cannot fail.
    if !granted.is_empty() {
        let _infallible = writeln!(text, "grants = {{ {} }}", granted.join(", "));
    }
    let memory = memory_mib(manifest);
    if memory != MEMORY_MIB {
        let _infallible = writeln!(text, "memory_mib = {memory}");
    }
    for ask in manifest.asks.iter().filter(|ask| !is_grantable(ask.capability())) {
        let _infallible = writeln!(text, "# it asks for {ask}, which this version cannot grant");
    }
    text
}

/// The same as the host takes it, to run the plugin here.
pub(super) fn typed(package: &Package) -> anyhow::Result<Binding> {
    let (name, digest) = (package.manifest().name.as_str(), package.digest().to_string());
    let mut binding: Binding =
        serde_json::from_value(serde_json::json!({ "name": name, "digest": digest }))?;
    binding.grants =
        Grants { log: true, metrics: true, clock: true, kv: true, message_bodies: true };
    binding.memory_mib = u32::try_from(memory_mib(package.manifest()))?;
    Ok(binding)
}

fn memory_mib(manifest: &Manifest) -> u64 {
    manifest.limits.memory().div_ceil(1 << 20)
}

fn grantable(manifest: &Manifest) -> impl Iterator<Item = &'static str> {
    let mut names: Vec<_> = manifest
        .asks
        .iter()
        .map(blockhouse_package::Ask::capability)
        .filter(|capability| is_grantable(*capability))
        .map(Capability::name)
        .collect();
    names.dedup();
    names.into_iter()
}

const fn is_grantable(capability: Capability) -> bool {
    !matches!(capability, Capability::Http | Capability::Publish)
}
