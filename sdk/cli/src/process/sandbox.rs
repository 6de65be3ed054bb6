//! What a process of this configuration goes on to need.

use std::path::{Path, PathBuf};

use blockhouse_disk::RealDisk;
use blockhouse_service::sandbox::{self, Needs};

use super::Role;
use crate::options::Config;

/// Gives up everything else. The directories of the data are made first, since only what is there
/// can be named; one that cannot be made is for the part to refuse that needs it.
pub(super) fn enter(config: &Config, role: Role) -> anyhow::Result<()> {
    let writable = directories(config);
    if let Some(problem) = writable.iter().find_map(|dir| RealDisk::make_dir(dir).err()) {
        tracing::debug!("no sandbox: {problem}");
        return Ok(());
    }
    // Plugins are compiled in a child, which is this program anew.
    let executes = config.plugins.enabled;
    let needs = Needs { writable, executes, ports: ports(config, role)? };
    let entered = sandbox::enter(&config.sandbox, &needs)?;
    tracing::info!(
        "sandbox: files {}, ports {}, system calls {}, programs {}",
        limited(entered.files),
        limited(entered.ports),
        limited(entered.calls),
        if entered.calls && !executes { "refused" } else { limited(entered.files) },
    );
    Ok(())
}

const fn limited(is: bool) -> &'static str {
    if is { "limited" } else { "not limited" }
}

fn directories(config: &Config) -> Vec<PathBuf> {
    let log = &config.store.commit_log_dir;
    let apart = (!log.as_os_str().is_empty()).then(|| log.clone());
    std::iter::once(config.node.data.clone())
        .chain(apart)
        .chain(new_key(config))
        .chain(config.sandbox.writable.iter().cloned())
        .collect()
}

/// Where a key will be made: one that is missing is, at the start. Where it is there already, it is only read.
fn new_key(config: &Config) -> Option<PathBuf> {
    let key = Path::new(&config.authn.key_file);
    let is_made = config.authn.enabled && !key.exists();
    is_made.then(|| match key.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    })
}

/// `None` if a port depends on one that the system picks: the broker's second is two below its first.
fn ports(config: &Config, role: Role) -> anyhow::Result<Option<Vec<u16>>> {
    let mut ports = Vec::new();
    if role.has_namesrv() {
        ports.push(config.namesrv.address()?.port());
    }
    if role.has_broker() {
        let port = config.node.broker_listen.port();
        if port == 0 && config.node.vip_port {
            return Ok(None);
        }
        ports.push(port);
        ports.extend(port.checked_sub(2).filter(|_| config.node.vip_port));
    }
    ports.extend(config.ops.listen.map(|address| address.port()));
    Ok(Some(ports))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_to_be_made_can_be_made_wherever_it_is() {
        let dir_of = |file: &str, enabled| {
            let mut config = Config::default();
            config.authn.enabled = enabled;
            config.authn.key_file = file.into();
            new_key(&config)
        };
        assert_eq!(dir_of("users.key", true), Some(PathBuf::from(".")));
        assert_eq!(dir_of("keys/users.key", true), Some(PathBuf::from("keys")));
        assert_eq!(dir_of("users.key", false), None);
        assert_eq!(dir_of("Cargo.toml", true), None, "what is there is not written");
    }
}
