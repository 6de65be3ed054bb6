//! Looking at and changing a cluster.

mod acls;
mod groups;
mod messages;
mod topics;
mod users;

use std::collections::BTreeMap;

use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::list::KvTable;
use blockhouse_protocol::body::route::ClusterInfo;
use blockhouse_protocol::codes::request_code;

use crate::{Client, Error};

pub use groups::{Lag, ResetTo};
pub use users::UserStep;

/// A master broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its cluster.
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub addr: String,
}

/// Which brokers a change is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All masters that the name server knows.
    All,
    /// The masters of one cluster.
    Cluster(String),
    /// One broker, by name or address.
    Broker(String),
}

impl Client {
    /// All clusters and their brokers.
    ///
    /// # Errors
    /// No name server answers.
    pub async fn cluster_info(&self) -> Result<ClusterInfo, Error> {
        let code = request_code::GET_BROKER_CLUSTER_INFO;
        let answer = self.ask_name_server(code, |_| {}, b"").await?;
        Ok(ClusterInfo::decode(&answer.body)?)
    }

    /// The master brokers in `scope`.
    ///
    /// # Errors
    /// [`Error::NoBroker`] if there is none.
    pub async fn masters(&self, scope: &Scope) -> Result<Vec<Master>, Error> {
        let info = self.cluster_info().await?;
        let all = info.broker_addr_table.into_values().filter_map(|broker| {
            let addr = broker.broker_addrs.get(&0)?.clone();
            Some(Master { cluster: broker.cluster, name: broker.broker_name, addr })
        });
        let masters: Vec<Master> = all
            .filter(|master| match scope {
                Scope::All => true,
                Scope::Cluster(cluster) => master.cluster == *cluster,
                Scope::Broker(broker) => master.name == *broker || master.addr == *broker,
            })
            .collect();
        if masters.is_empty() {
            return Err(Error::NoBroker(match scope {
                Scope::All => "a broker".to_owned(),
                Scope::Cluster(name) => format!("a broker of cluster {name}"),
                Scope::Broker(name) => format!("broker {name}"),
            }));
        }
        Ok(masters)
    }

    /// What a broker says of itself.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub async fn runtime_info(&self, addr: &str) -> Result<BTreeMap<String, String>, Error> {
        let code = request_code::GET_BROKER_RUNTIME_INFO;
        let answer = self.call(addr, code, |_| {}, b"").await?;
        Ok(KvTable::decode(&answer.body)?.table)
    }

    /// A broker's configuration, `key=value` lines.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub async fn broker_config(&self, addr: &str) -> Result<BTreeMap<String, String>, Error> {
        let answer = self.call(addr, request_code::GET_BROKER_CONFIG, |_| {}, b"").await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let pairs = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = pairs.filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect())
    }

    /// Changes options of a broker.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub async fn update_broker_config(
        &self,
        addr: &str,
        changes: &[(String, String)],
    ) -> Result<(), Error> {
        let lines: String = changes.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        self.call(addr, request_code::UPDATE_BROKER_CONFIG, |_| {}, lines.as_bytes()).await?;
        Ok(())
    }
}
