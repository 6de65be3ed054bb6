//! Requests to a name server, and its answers.

use std::time::Duration;

use blockhouse_model::DataVersion;
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::list::KvTable;
use blockhouse_protocol::body::registration::{RegisterBrokerBody, body_crc32};
use blockhouse_protocol::body::topic::TopicConfigTable;
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::namesrv::{
    QueryDataVersion, QueryDataVersionResponse, RegisterBroker, RegisterBrokerResponse,
    UnregisterBroker,
};
use blockhouse_transport::Connection;

use crate::reported::{Answer, Identity, Snapshot};
use crate::{Config, Error};

/// Reports all topics (103).
pub(crate) async fn register(
    connection: &Connection,
    identity: &Identity,
    snapshot: Snapshot,
    config: &Config,
) -> Result<Answer, Error> {
    let body = body(&snapshot);
    let body = if config.compressed { body.encode_compressed() } else { body.encode() };
    let header = RegisterBroker {
        broker_name: &identity.broker,
        broker_addr: &identity.addr,
        cluster_name: &identity.cluster,
        ha_server_addr: &identity.ha_addr,
        broker_id: id(identity),
        heartbeat_timeout_millis: None,
        enable_acting_master: Some(false),
        compressed: config.compressed,
        body_crc32: body_crc32(&body),
    };
    let patience = config.answer_timeout();
    let code = request_code::REGISTER_BROKER;
    let answer = success(connection.call(code, |out| header.write(out), &body, patience).await?)?;
    read_answer(&answer)
}

/// Whether the name server knows another version of the topics than `version` (322).
pub(crate) async fn changed(
    connection: &Connection,
    identity: &Identity,
    version: DataVersion,
    config: &Config,
) -> Result<bool, Error> {
    let header = QueryDataVersion {
        broker_name: &identity.broker,
        broker_addr: &identity.addr,
        cluster_name: &identity.cluster,
        broker_id: id(identity),
    };
    let code = request_code::QUERY_DATA_VERSION;
    let (body, patience) = (version.encode(), config.answer_timeout());
    let answer = connection.call(code, |out| header.write(out), &body, patience).await?;
    let answer = success(answer)?;
    let says_changed = QueryDataVersionResponse::parse(&answer.ext).map_err(Error::Header)?.changed;
    let known = DataVersion::decode(&answer.body).ok();
    Ok(says_changed || known != Some(version))
}

/// Takes the broker out (104).
pub(crate) async fn unregister(
    connection: &Connection,
    identity: &Identity,
    patience: Duration,
) -> Result<(), Error> {
    let header = UnregisterBroker {
        broker_name: &identity.broker,
        broker_addr: &identity.addr,
        cluster_name: &identity.cluster,
        broker_id: id(identity),
    };
    let code = request_code::UNREGISTER_BROKER;
    success(connection.call(code, |out| header.write(out), &[], patience).await?)?;
    Ok(())
}

/// Ids are given by operators and are small.
fn id(identity: &Identity) -> i64 {
    i64::try_from(identity.id).unwrap_or(i64::MAX)
}

fn success(answer: RemotingCommand) -> Result<RemotingCommand, Error> {
    if answer.code == response_code::SUCCESS {
        return Ok(answer);
    }
    let remark = answer.remark().unwrap_or("(no remark)").to_owned();
    Err(Error::Refused { code: answer.code, remark })
}

fn read_answer(answer: &RemotingCommand) -> Result<Answer, Error> {
    let header = RegisterBrokerResponse::parse(&answer.ext).map_err(Error::Header)?;
    let text = |field: Option<&str>| field.filter(|v| !v.is_empty()).map(str::to_owned);
    let order_topics = if answer.body.is_empty() {
        None
    } else {
        Some(KvTable::decode(&answer.body).map_err(Error::Body)?.table)
    };
    Ok(Answer {
        master_addr: text(header.master_addr),
        ha_addr: text(header.ha_server_addr),
        order_topics,
    })
}

fn body(snapshot: &Snapshot) -> RegisterBrokerBody {
    let topics = snapshot.topics.iter().map(|topic| (topic.name.to_string(), topic.into()));
    RegisterBrokerBody {
        filter_server_list: Vec::new(),
        topic_config_serialize_wrapper: TopicConfigTable {
            data_version: snapshot.version,
            topic_config_table: topics.collect(),
            ..TopicConfigTable::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_model::{Topic, TopicConfig, names};

    use super::*;

    /// As `blockhouse_meta::topics::TOPICS_MAX`, and what name servers take in one frame.
    const TOPICS: usize = 20_000;
    const FRAME_LEN_MAX: usize = 16 << 20;

    #[test]
    fn a_report_of_all_topics_with_the_longest_names_fits_a_frame() {
        let name = |number: usize| {
            let end = format!("{number:05}");
            format!("{}{end}", "n".repeat(names::STORED_TOPIC_LEN_MAX - end.len()))
        };
        let config = |number| TopicConfig::new(Topic::trusted(&name(number)), 65_536);
        let topics = (0..TOPICS).map(config).collect();
        let len = body(&Snapshot { version: DataVersion::default(), topics }).encode().len();
        assert!(len < FRAME_LEN_MAX - 4_096, "{len}");
    }
}
