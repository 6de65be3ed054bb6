//! Which addresses a process may listen on and tell others.

use std::net::IpAddr;

use anyhow::bail;
use blockhouse_service::config::{Loaded, Source};
use blockhouse_telemetry::otlp::Endpoint;
use blockhouse_transport::tls::{ClientAuth, Mode};

use crate::options::{Config, Node};
use crate::process::Role;

/// The kinds of listeners that there are rules for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    Namesrv,
    Broker,
    Ops,
}

impl Listener {
    const fn flag(self) -> &'static str {
        match self {
            Self::Namesrv => "--namesrv-listen",
            Self::Broker => "--broker-listen",
            Self::Ops => "--ops-listen",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Namesrv => "namesrv.listen",
            Self::Broker => "node.broker_listen",
            Self::Ops => "ops.listen",
        }
    }

    /// The option as it was given.
    fn name(self, loaded: &Loaded<Config>) -> String {
        match loaded.source(self.path()) {
            Source::Flag(flag) => flag,
            Source::Default => self.flag().to_owned(),
            place => format!("{} ({place})", place.called(self.path())),
        }
    }
}

/// Refuses listeners of a process of `role` that would be open by accident.
pub(crate) fn check(loaded: &Loaded<Config>, role: Role) -> anyhow::Result<()> {
    let config = &loaded.config;
    let mut listeners = Vec::new();
    if role.has_namesrv() {
        listeners.push((Listener::Namesrv, config.namesrv.address()?));
    }
    if role.has_broker() {
        listeners.push((Listener::Broker, config.node.broker_listen));
    }
    listeners.extend(config.ops.listen.map(|address| (Listener::Ops, address)));
    for (kind, address) in listeners {
        if !is_loopback(address.ip())
            && !config.node.insecure
            && let Some(missing) = missing(config, kind)
        {
            bail!(
                "{} {address} is not a loopback address, and {missing}, or listen on 127.0.0.1, \
                 or add --insecure if the network is trusted",
                kind.name(loaded)
            );
        }
        let is_everywhere = address.ip().is_unspecified();
        if kind == Listener::Broker && is_everywhere && config.node.advertise.is_none() {
            bail!(
                "{} {address} listens everywhere, so clients cannot be told where: add \
                 --advertise IP with the address they can reach",
                kind.name(loaded)
            );
        }
    }
    check_collectors(config)
}

/// Refuses to tell strangers on the way what clients do.
fn check_collectors(config: &Config) -> anyhow::Result<()> {
    let mut open = config.telemetry.endpoints().filter(|(_, endpoint)| !endpoint.is_private());
    match open.next() {
        Some((option, Endpoint { host, .. })) if !config.node.insecure => bail!(
            "{option}: whoever is on the way to {host} can read what is exported: use https:// (docs/tracing.md), \
             or a collector on this host, or add --insecure if the network is trusted"
        ),
        _ => Ok(()),
    }
}

/// What a listener lacks that strangers may reach.
fn missing(config: &Config, kind: Listener) -> Option<&'static str> {
    let asks_who = config.authn.enabled && config.authn.required;
    let asks_for_certificates = config.tls.client_auth == ClientAuth::Require;
    let asks_policies = config.authz.enabled;
    let is_encrypted = match kind {
        Listener::Ops => config.ops.tls,
        Listener::Namesrv | Listener::Broker => config.tls.mode == Mode::Enforcing,
    };
    match is_encrypted {
        false if kind == Listener::Ops => {
            Some("whoever reaches it may talk in plaintext: set ops.tls (docs/operations.md)")
        }
        false => Some("clients may talk in plaintext: set tls.mode to enforcing (docs/tls.md)"),
        true if asks_who || asks_for_certificates || asks_policies => None,
        true => Some("everybody may do everything: set authn.enabled (docs/authentication.md)"),
    }
}

/// Says what to do about a port that is taken.
pub(crate) fn advise(error: anyhow::Error, listener: Listener) -> anyhow::Error {
    let is_taken = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::AddrInUse)
    };
    if error.chain().any(is_taken) {
        let (what, flag) = (crate::sentence(&error), listener.flag());
        return anyhow::anyhow!("{what}; free the port, or choose another with {flag}");
    }
    error
}

/// A sentence about an advertised address that is probably not what was meant.
pub(crate) fn doubt(node: &Node) -> Option<String> {
    let ip = node.advertise.filter(|ip| !is_loopback(*ip))?;
    is_loopback(node.broker_listen.ip()).then(|| {
        format!(
            "clients are told {ip}, but the broker listens on {} only: unless something forwards \
             connections, set --broker-listen",
            node.broker_listen
        )
    })
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use blockhouse_service::config::Layer;

    use super::*;

    fn node(advertise: Option<&str>, insecure: bool) -> Node {
        Node { advertise: advertise.map(|a| a.parse().unwrap()), insecure, ..Node::default() }
    }

    fn text(role: Role, sets: &[&str]) -> String {
        let mut layer = Layer::default();
        sets.iter().for_each(|set| layer.assign(set).unwrap());
        let loaded = Loaded::from_layers(&[layer]).unwrap();
        check(&loaded, role).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn loopback_is_free_and_anything_else_needs_insecure() {
        for address in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let listen = format!("node.broker_listen={address}");
            assert_eq!(text(Role::Broker, &[&listen]), "");
        }
        let open = "namesrv.listen=10.0.0.5:9876";
        let refused = text(Role::Namesrv, &[open]);
        assert!(refused.starts_with("--set namesrv.listen 10.0.0.5:9876 is not"), "{refused}");
        assert!(refused.contains("--insecure"));
        assert_eq!(text(Role::Namesrv, &[open, "node.insecure=true"]), "");
        assert_eq!(text(Role::Namesrv, &["ops.listen=0.0.0.0:5557", "node.insecure=true"]), "");
        // Encrypted, and whoever comes is asked who he is or what he may do.
        let secret = [open, "tls.mode=enforcing", "tls.cert=c", "tls.key=k"];
        let everybody = text(Role::Namesrv, &secret);
        assert!(everybody.contains("everybody may do everything"), "{everybody}");
        for asked in
            [&["authn.enabled=true"][..], &["authz.enabled=true"], &["tls.client_auth=require"]]
        {
            assert_eq!(text(Role::Namesrv, &[&secret, asked].concat()), "", "{asked:?}");
        }
        let plain = text(Role::Namesrv, &[open, "tls.mode=permissive", "authn.enabled=true"]);
        assert!(plain.contains("tls.mode"), "{plain}");
        let nobody = ["authn.enabled=true", "authn.required=false"];
        assert!(!text(Role::Namesrv, &[&secret[..], &nobody].concat()).is_empty());
        let ops = [&secret[1..], &["ops.listen=10.0.0.5:1", "authn.enabled=true"]].concat();
        assert!(text(Role::Namesrv, &ops).contains("ops.tls"));
        assert_eq!(text(Role::Namesrv, &[&ops[..], &["ops.tls=true"]].concat()), "");
        let ops = [&secret[1..], &["ops.listen=10.0.0.5:1", "ops.tls=true"]].concat();
        assert!(text(Role::Namesrv, &ops).contains("everybody may do everything"));
        // Where it is not going to listen does not matter.
        assert_eq!(text(Role::Broker, &[open]), "");
    }

    #[test]
    fn collectors_elsewhere_are_reached_by_tls() {
        let to = |endpoint: &str| {
            text(Role::Broker, &[&format!("telemetry.traces.endpoint={endpoint}")])
        };
        for near in ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://far:1"]
        {
            assert_eq!(to(near), "", "{near}");
        }
        let refused = to("http://far.example:4317");
        assert!(
            refused.starts_with("telemetry.traces.endpoint") && refused.contains("far.example")
        );
        let endpoint = "telemetry.traces.endpoint=http://far.example:4317";
        assert_eq!(text(Role::Broker, &[endpoint, "node.insecure=true"]), "");
    }

    #[test]
    fn a_listener_from_a_file_is_named_with_its_line() {
        let layer = Layer::from_toml("b.toml", "[ops]\nlisten = \"10.0.0.5:1\"\n").unwrap();
        let refused = check(&Loaded::from_layers(&[layer]).unwrap(), Role::Namesrv).unwrap_err();
        let refused = refused.to_string();
        assert!(refused.starts_with("ops.listen (b.toml:2) 10.0.0.5:1 is not a"), "{refused}");
    }

    #[test]
    fn a_broker_on_a_wildcard_needs_an_address_to_tell() {
        let everywhere = ["node.insecure=true", "node.broker_listen=0.0.0.0:10911"];
        let refused = text(Role::Broker, &everywhere);
        assert!(refused.contains("--advertise"), "{refused}");
        let told = [&everywhere[..], &["node.advertise=10.0.0.5"]].concat();
        assert_eq!(text(Role::Broker, &told), "");
    }

    #[test]
    fn telling_clients_an_address_that_is_not_listened_on_is_doubtful() {
        assert!(doubt(&node(Some("10.0.0.5"), true)).unwrap().contains("--broker-listen"));
        assert_eq!(doubt(&node(Some("127.0.0.1"), true)), None);
        assert_eq!(doubt(&node(None, true)), None);
    }
}
