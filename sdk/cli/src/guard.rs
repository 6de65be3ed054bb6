//! Which addresses a process may listen on and tell others.

use std::net::{IpAddr, SocketAddr};

use anyhow::bail;

use crate::options::Node;

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
}

/// Refuses listeners that would be open by accident.
pub(crate) fn check(node: &Node, listeners: &[(Listener, SocketAddr)]) -> anyhow::Result<()> {
    for (kind, address) in listeners {
        let flag = kind.flag();
        if !is_loopback(address.ip()) && !node.insecure {
            bail!(
                "{flag} {address} is not a loopback address, and there is no encryption or \
                 authentication yet: listen on 127.0.0.1, or add --insecure if the network is \
                 trusted"
            );
        }
        if *kind == Listener::Broker {
            check_advertised(node, *address)?;
        }
    }
    Ok(())
}

fn check_advertised(node: &Node, address: SocketAddr) -> anyhow::Result<()> {
    match node.advertise {
        None if address.ip().is_unspecified() => bail!(
            "--broker-listen {address} listens everywhere, so clients cannot be told where: add \
             --advertise IP with the address they can reach"
        ),
        Some(ip) if ip.is_unspecified() => {
            bail!("--advertise {ip} is no address that clients can reach: give the host's own")
        }
        _ => Ok(()),
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
    use super::*;

    fn node(advertise: Option<&str>, insecure: bool) -> Node {
        Node { advertise: advertise.map(|a| a.parse().unwrap()), insecure, ..Node::default() }
    }

    fn text(node: &Node, kind: Listener, address: &str) -> String {
        match check(node, &[(kind, address.parse().unwrap())]) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn loopback_is_free_and_anything_else_needs_insecure() {
        for address in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(text(&node(None, false), Listener::Broker, address), "");
        }
        let refused = text(&node(None, false), Listener::Namesrv, "10.0.0.5:9876");
        assert!(refused.starts_with("--namesrv-listen 10.0.0.5:9876 is not"), "{refused}");
        assert!(refused.contains("--insecure"));
        assert_eq!(text(&node(None, true), Listener::Namesrv, "10.0.0.5:9876"), "");
        assert_eq!(text(&node(None, true), Listener::Ops, "0.0.0.0:5557"), "");
    }

    #[test]
    fn a_broker_on_a_wildcard_needs_an_address_to_tell() {
        let refused = text(&node(None, true), Listener::Broker, "0.0.0.0:10911");
        assert!(refused.contains("--advertise"), "{refused}");
        assert_eq!(text(&node(Some("10.0.0.5"), true), Listener::Broker, "0.0.0.0:10911"), "");
        let refused = text(&node(Some("0.0.0.0"), true), Listener::Broker, "0.0.0.0:10911");
        assert!(refused.contains("no address that clients can reach"), "{refused}");
    }

    #[test]
    fn telling_clients_an_address_that_is_not_listened_on_is_doubtful() {
        assert!(doubt(&node(Some("10.0.0.5"), true)).unwrap().contains("--broker-listen"));
        assert_eq!(doubt(&node(Some("127.0.0.1"), true)), None);
        assert_eq!(doubt(&node(None, true)), None);
    }
}
