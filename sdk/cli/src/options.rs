//! The sections of the configuration, and how flags and files become one.

mod check;
mod idle;
mod node;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use blockhouse_service::config::{Layer, Loaded, Source};
use blockhouse_service::{log, sandbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::NodeArgs;
use crate::java_conf::{self, Unhonoured, tls_properties};
pub(crate) use check::check;
pub(crate) use idle::idle;
pub use node::Node;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who this node is, where it listens and where it keeps its data.
    pub node: Node,
    /// The name server.
    pub namesrv: blockhouse_namesrv::Config,
    /// What clients may do and what they are told.
    pub broker: blockhouse_core::Config,
    /// How messages are stored.
    pub store: blockhouse_store::Config,
    /// What clients may take from the broker.
    pub transport: blockhouse_transport::Limits,
    /// What users and addresses may take of the broker in a second.
    pub quota: blockhouse_broker::QuotaConfig,
    /// Encryption of the listeners of broker and name server, and of the broker's connections to name
    /// servers.
    pub tls: blockhouse_transport::tls::Config,
    /// How the broker reports to name servers.
    pub registrar: blockhouse_registrar::Config,
    /// Who clients are: users, and the signatures that prove them.
    pub authn: blockhouse_authn::Config,
    /// Policies: who may do what (`docs/policies.md`).
    pub authz: blockhouse_authz::Config,
    /// The tamper-evident log of decisions and changes.
    pub audit: blockhouse_audit::Config,
    /// WASM plugins.
    pub plugins: blockhouse_host::Config,
    /// Health, metrics and control API over HTTP.
    pub ops: blockhouse_ops::Config,
    /// What is told of messages, and whom.
    pub telemetry: blockhouse_telemetry::Config,
    /// Records of the last requests, in `blockhouse/flight` of the data directory; a name server alone has
    /// them in `namesrv/flight`.
    pub flight: blockhouse_flight::Config,
    /// What the process may still do once it runs.
    pub sandbox: sandbox::Config,
    /// What the process says about itself on stderr.
    pub log: log::Config,
}

/// A configuration, and the `broker.conf` keys that had no effect.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) loaded: Loaded<Config>,
    pub(crate) unhonoured: Vec<Unhonoured>,
}

/// Puts defaults, `broker.conf`, TOML file and flags together.
pub(crate) fn load(args: &NodeArgs) -> anyhow::Result<Options> {
    let mut layers = Vec::new();
    let mut unhonoured = Vec::new();
    if let Some(path) = &args.broker.java_conf {
        let translated = java_conf::translate(&path.display().to_string(), &read(path)?)?;
        layers.push(translated.layer);
        unhonoured = translated.unhonoured;
    }
    if let Some(path) = &args.process.config {
        layers.push(Layer::from_toml(&path.display().to_string(), &read(path)?)?);
    }
    layers.push(flags(args)?);
    let loaded: Loaded<Config> = Loaded::from_layers(&layers)?;
    let file = &loaded.config.tls.properties;
    if file.as_os_str().is_empty() {
        return Ok(Options { loaded, unhonoured });
    }
    let translated = tls_properties::translate(&file.display().to_string(), &read(file)?)?;
    layers.insert(0, translated.layer);
    unhonoured.extend(translated.unhonoured);
    Ok(Options { loaded: Loaded::from_layers(&layers)?, unhonoured })
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    #[expect(clippy::disallowed_methods, reason = "read before there is anything to go through")]
    let text = std::fs::read_to_string(path);
    text.with_context(|| format!("cannot read {}", path.display()))
}

fn flags(args: &NodeArgs) -> anyhow::Result<Layer> {
    let mut layer = Layer::default();
    let plain = [
        ("--data", "node.data", &args.process.data),
        ("--name", "node.name", &args.broker.name),
        ("--cluster", "node.cluster", &args.broker.cluster),
        ("--namesrv", "node.namesrv", &args.broker.namesrv),
        ("--advertise", "node.advertise", &args.broker.advertise),
        ("--log", "log.level", &args.process.log),
    ];
    for (flag, path, value) in plain {
        if let Some(value) = value {
            layer.set(path, value, Source::Flag(flag.to_owned()));
        }
    }
    let listeners = [
        ("--namesrv-listen", "namesrv.listen", &args.name_server.namesrv_listen),
        ("--broker-listen", "node.broker_listen", &args.broker.broker_listen),
        ("--ops-listen", "ops.listen", &args.process.ops_listen),
    ];
    for (flag, path, value) in listeners {
        if let Some(value) = value {
            layer.set(path, address(value), Source::Flag(flag.to_owned()));
        }
    }
    let switches = [
        ("--insecure", "node.insecure", args.process.insecure),
        ("--allow-inert", "broker.allow_inert", args.broker.allow_inert),
    ];
    for (flag, path, _) in switches.iter().filter(|(.., is_set)| *is_set) {
        layer.set(*path, "true", Source::Flag((*flag).to_owned()));
    }
    for set in &args.process.sets {
        layer.assign(set)?;
    }
    Ok(layer)
}

/// A port alone is one on loopback.
fn address(text: &str) -> String {
    match text.trim_start_matches(':').parse::<u16>() {
        Ok(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string(),
        Err(_) => text.replacen("localhost:", "127.0.0.1:", 1),
    }
}
