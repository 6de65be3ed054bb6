//! The binding that an operator pastes for a plugin.

use std::fmt::Write as _;

use blockhouse_host::{Binding, Grants};
use blockhouse_package::{Ask, Asks, Capability, Manifest, Package};

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
    let granted = granted(manifest);
    // Writing to a String cannot fail.
    if !granted.is_empty() {
        let _infallible = writeln!(text, "grants = {{ {} }}", granted.join(", "));
    }
    let memory = memory_mib(manifest);
    if memory != MEMORY_MIB {
        let _infallible = writeln!(text, "memory_mib = {memory}");
    }
    for ask in manifest.asks.iter().filter(|ask| is_open(ask)) {
        let name = ask.capability().name();
        let _infallible =
            writeln!(text, "# it asks for {name}: list what it may reach, grants.{name} = [...]");
    }
    text
}

/// The same as the host takes it, to run the plugin here.
pub(super) fn typed(package: &Package) -> anyhow::Result<Binding> {
    let (name, digest) = (package.manifest().name.as_str(), package.digest().to_string());
    let mut binding: Binding =
        serde_json::from_value(serde_json::json!({ "name": name, "digest": digest }))?;
    let asks = &package.manifest().asks;
    binding.grants = Grants {
        log: true,
        metrics: true,
        clock: true,
        kv: true,
        message_bodies: true,
        http: scopes(asks, Capability::Http),
        publish: scopes(asks, Capability::Publish),
    };
    binding.memory_mib = u32::try_from(memory_mib(package.manifest()))?;
    Ok(binding)
}

fn memory_mib(manifest: &Manifest) -> u64 {
    manifest.limits.memory().div_ceil(1 << 20)
}

/// The grants as keys and values: what has scopes is granted in those that are asked for.
fn granted(manifest: &Manifest) -> Vec<String> {
    let asks = &manifest.asks;
    let asked = Capability::ALL.into_iter().filter(|capability| asks.has(*capability));
    let granted = asked.filter_map(|capability| {
        let name = capability.name();
        if !capability.waits() {
            return Some(format!("{name} = true"));
        }
        let scopes = scopes(asks, capability);
        (!scopes.is_empty()).then(|| format!("{name} = {scopes:?}"))
    });
    granted.collect()
}

fn scopes(asks: &Asks, capability: Capability) -> Vec<String> {
    let of_it = asks.iter().filter(|ask| ask.capability() == capability);
    of_it.filter_map(|ask| ask.scope().map(str::to_owned)).collect()
}

/// Whether it asks for whatever is listed, so that somebody has to list it.
fn is_open(ask: &Ask) -> bool {
    ask.capability().waits() && ask.scope().is_none()
}
