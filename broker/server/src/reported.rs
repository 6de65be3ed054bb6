//! What name servers are told: the topics, with this broker's own permission laid over theirs.

use std::sync::Arc;

use blockhouse_model::{DataVersion, Perm};
use blockhouse_registrar::{Answer, Reported, Snapshot};

pub(crate) struct Topics {
    topics: Arc<blockhouse_meta::Topics>,
    permission: Perm,
}

impl Topics {
    pub(crate) fn new(topics: Arc<blockhouse_meta::Topics>, permission: Perm) -> Self {
        Self { topics, permission }
    }
}

impl Reported for Topics {
    fn snapshot(&self) -> Snapshot {
        let (version, topics) = self.topics.snapshot();
        let mut topics: Vec<_> = topics.iter().map(|topic| topic.as_ref().clone()).collect();
        for topic in &mut topics {
            topic.perm = Perm(topic.perm.0 & (self.permission.0 | Perm::INHERIT));
        }
        Snapshot { version, topics }
    }

    fn version(&self) -> DataVersion {
        self.topics.version()
    }

    fn answered(&self, _name_server: &str, answer: &Answer) {
        if let Some(ordered) = &answer.order_topics {
            self.topics.set_ordered(ordered.keys().map(String::as_str));
        }
    }
}
