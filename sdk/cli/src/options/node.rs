//! Section `[node]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use blockhouse_model::OptionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name and cluster are topics as well, some with a prefix or suffix, and those have 127 bytes.
const NAME_LEN_MAX: usize = 100;

/// Section `[node]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// The broker's name; every broker of a cluster needs its own (RocketMQ: `brokerName`). Up to
    /// 100 letters, digits and any of `-_.%|`.
    pub name: String,
    /// The cluster that the broker belongs to (RocketMQ: `brokerClusterName`). Of the same form as
    /// `name`.
    pub cluster: String,
    /// 0: a master, the only kind there is (RocketMQ: `brokerId`).
    pub broker_id: u64,
    /// Where everything is kept (RocketMQ: `storePathRootDir`): `commitlog`, `consumequeue`,
    /// `index`, `config`, ... in it.
    pub data: PathBuf,
    /// The name servers that the broker reports to, each as `HOST:PORT` (RocketMQ: `namesrvAddr`).
    /// Empty in `standalone`: the one in the same process.
    pub namesrv: Vec<String>,
    /// Where the broker listens (RocketMQ: `bindAddress`, `listenPort`).
    pub broker_listen: SocketAddr,
    /// Listen on the port two below `broker_listen`'s as well: older clients send there (RocketMQ
    /// calls it the VIP channel).
    pub vip_port: bool,
    /// The IP address that clients are told and that message ids carry (RocketMQ: `brokerIP1`).
    /// `off`: the one of `broker_listen`.
    pub advertise: Option<IpAddr>,
    /// Allow listeners on other than loopback addresses though nothing is encrypted and nobody is
    /// asked who he is, and collectors there that are reached in plain text.
    pub insecure: bool,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "broker-a".to_owned(),
            cluster: "DefaultCluster".to_owned(),
            broker_id: 0,
            data: PathBuf::from("blockhouse-data"),
            namesrv: Vec::new(),
            broker_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 10_911)),
            vip_port: true,
            advertise: None,
            insecure: false,
        }
    }
}

impl Node {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that no node could work with.
    pub fn validate(&self) -> Result<(), OptionError> {
        for (option, name) in [("name", &self.name), ("cluster", &self.cluster)] {
            if !is_name(name) {
                let rule = format!(
                    "must be 1 to {NAME_LEN_MAX} letters, digits and any of `-_.%|`, with no `.` \
                     in front"
                );
                return Err(OptionError::new(option, rule));
            }
        }
        if self.broker_id != 0 {
            let rule = "must be 0 (replication is not built yet: every broker is a master with a \
                        name of its own)";
            return Err(OptionError::new("broker_id", rule));
        }
        if self.data.as_os_str().is_empty() {
            return Err(OptionError::new("data", "must be a directory"));
        }
        if !self.namesrv.iter().all(|address| is_host_and_port(address)) {
            return Err(OptionError::new("namesrv", "must be a list of HOST:PORT"));
        }
        if self.advertise.is_some_and(|ip| ip.is_unspecified() || ip.is_multicast()) {
            let rule = "must be an IP address of this host that clients can reach";
            return Err(OptionError::new("advertise", rule));
        }
        Ok(())
    }
}

/// Topics' characters, and the dot of host names: Java brokers are called like their hosts.
fn is_name(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.%|".contains(&b);
    (1..=NAME_LEN_MAX).contains(&text.len()) && text.bytes().all(legal) && !text.starts_with('.')
}

fn is_host_and_port(text: &str) -> bool {
    if text.parse::<SocketAddr>().is_ok_and(|address| address.port() > 0) {
        return true;
    }
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !host.is_empty() && host.bytes().all(legal) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option that is to be refused, and what makes it wrong.
    type Case = (&'static str, fn(&mut Node));

    #[test]
    fn names_that_cannot_be_topics_and_addresses_that_cannot_be_dialled_are_refused() {
        assert_eq!(Node::default().validate(), Ok(()));
        let set: [Case; 14] = [
            ("name", |n| n.name = String::new()),
            ("name", |n| n.name = "a/b".to_owned()),
            ("name", |n| n.name = "a b".to_owned()),
            ("name", |n| n.name = "x".repeat(101)),
            ("cluster", |n| n.cluster = "a b".to_owned()),
            ("cluster", |n| n.cluster = "../x".to_owned()),
            ("cluster", |n| n.cluster = "..".to_owned()),
            ("broker_id", |n| n.broker_id = 3),
            ("data", |n| n.data = PathBuf::new()),
            ("namesrv", |n| n.namesrv = vec!["bad".to_owned()]),
            ("namesrv", |n| n.namesrv = vec!["good:1".to_owned(), "bad:x".to_owned()]),
            ("namesrv", |n| n.namesrv = vec![":9876".to_owned()]),
            ("namesrv", |n| n.namesrv = vec!["10.0.0.1:0".to_owned()]),
            ("advertise", |n| n.advertise = Some(IpAddr::from(Ipv4Addr::UNSPECIFIED))),
        ];
        for (option, set) in set {
            let mut node = Node::default();
            set(&mut node);
            assert_eq!(node.validate().unwrap_err().option, option, "{node:?}");
        }
    }

    #[test]
    fn names_and_addresses_of_java_brokers_are_taken() {
        for name in ["broker-a", "RaftNode00", "node1.example.com", "b_1|x%"] {
            let node = Node { name: name.to_owned(), ..Node::default() };
            assert_eq!(node.validate(), Ok(()), "{name}");
        }
        for address in ["127.0.0.1:9876", "[::1]:9876", "namesrv.example.com:9876", "ns_1:1"] {
            let node = Node { namesrv: vec![address.to_owned()], ..Node::default() };
            assert_eq!(node.validate(), Ok(()), "{address}");
        }
    }
}
