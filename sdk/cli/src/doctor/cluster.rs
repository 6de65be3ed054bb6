//! What name servers and brokers answer.

use blockhouse_client::Client;

use super::table::{BROKER, NAME_SERVER, REGISTERED, SAME};
use super::{Finding, State};
use crate::cluster::ClusterArgs;

/// Asks each name server by itself, and each broker that one of them knows.
pub(super) async fn look(args: &ClusterArgs) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut known: Vec<(String, Vec<String>)> = Vec::new();
    let servers = args.namesrv.split(';').map(str::trim).filter(|server| !server.is_empty());
    for server in servers {
        let client = ClusterArgs { namesrv: server.to_owned(), ..args.clone() }.client()?;
        match client.cluster_info().await {
            Ok(info) => {
                let brokers = info.broker_addr_table.values();
                let mut addresses: Vec<String> =
                    brokers.flat_map(|broker| broker.broker_addrs.values().cloned()).collect();
                addresses.sort();
                findings.push(Finding::new(NAME_SERVER, State::Ok, server, "answers"));
                findings.push(registered(server, &addresses));
                for address in &addresses {
                    if !known.iter().any(|(_, others)| others.contains(address)) {
                        findings.push(answers(&client, address).await);
                    }
                }
                known.push((server.to_owned(), addresses));
            }
            Err(error) => {
                findings.push(Finding::new(NAME_SERVER, State::Failure, server, error.to_string()));
            }
        }
        client.close().await;
    }
    findings.extend(agree(&known));
    Ok(findings)
}

fn registered(server: &str, addresses: &[String]) -> Finding {
    match addresses.len() {
        0 => Finding::new(REGISTERED, State::Failure, server, "no broker has reported"),
        count => Finding::new(REGISTERED, State::Ok, server, format!("{count} reported")),
    }
}

async fn answers(client: &Client, address: &str) -> Finding {
    match client.runtime_info(address).await {
        Ok(runtime) => {
            let version = runtime.get("brokerVersionDesc").map_or("", String::as_str);
            Finding::new(BROKER, State::Ok, address, format!("answers, version {version}"))
        }
        Err(error) => Finding::new(BROKER, State::Failure, address, error.to_string()),
    }
}

/// Whether all name servers know the same brokers.
fn agree(known: &[(String, Vec<String>)]) -> Vec<Finding> {
    let Some(((first, expected), others)) = known.split_first() else { return Vec::new() };
    let differs = |(server, addresses): &(String, Vec<String>)| {
        let lacks: Vec<&str> =
            expected.iter().filter(|a| !addresses.contains(a)).map(String::as_str).collect();
        let more: Vec<&str> =
            addresses.iter().filter(|a| !expected.contains(a)).map(String::as_str).collect();
        if lacks.is_empty() && more.is_empty() {
            return Finding::new(SAME, State::Ok, server, format!("as {first}"));
        }
        let told = |what: &str, list: &[&str]| {
            if list.is_empty() { String::new() } else { format!(" {what} {}", list.join(", ")) }
        };
        let found = format!("unlike {first}:{}{}", told("lacks", &lacks), told("has", &more));
        Finding::new(SAME, State::Failure, server, found)
    };
    others.iter().map(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_that_know_other_brokers_are_told() {
        let known = |server: &str, brokers: &[&str]| {
            (server.to_owned(), brokers.iter().map(|b| (*b).to_owned()).collect::<Vec<_>>())
        };
        let all = [
            known("n1", &["a:1", "b:1"]),
            known("n2", &["a:1", "b:1"]),
            known("n3", &["b:1", "c:1"]),
        ];
        let found: Vec<_> = agree(&all).into_iter().map(|f| (f.state, f.place, f.found)).collect();
        assert_eq!(found[0], (State::Ok, "n2".to_owned(), "as n1".to_owned()));
        assert_eq!(
            found[1],
            (State::Failure, "n3".to_owned(), "unlike n1: lacks a:1 has c:1".to_owned())
        );
        assert!(agree(&all[..1]).is_empty() && agree(&[]).is_empty());
    }
}
