//! Lists and tables of texts: 28, 206, 219, 224, 300, 304, 305, 343.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Names of topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicList {
    /// A broker to ask further.
    pub broker_addr: Option<String>,
    /// The topics.
    pub topic_list: Vec<String>,
}

/// Names of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupList {
    /// The groups.
    pub group_list: Vec<String>,
}

/// Texts by name: a broker's runtime info, a namespace of the name server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KvTable {
    /// The texts.
    pub table: BTreeMap<String, String>,
}
