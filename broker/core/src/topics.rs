//! Administration of topics and of the files behind them.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockhouse_model::{Access, Action, Resource, TopicConfig, names};

use crate::refusal::{Refusal, RefusalKind};
use crate::{Broker, Caller, blocking};

impl Broker {
    /// Creates or changes a topic for `caller`, whose it is if it is new. `attributes` are changes in RocketMQ's form: `+name` sets,
    /// `-name` removes.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub async fn update_topic(
        &self,
        caller: Caller<'_>,
        config: TopicConfig,
        attributes: &BTreeMap<String, String>,
    ) -> Result<Arc<TopicConfig>, Refusal> {
        let topic = config.name.clone();
        let config = self
            .topics()
            .update(config, attributes, caller.owner().as_deref())
            .map_err(|error| refused_topic(caller, &topic, &error))?;
        self.save_topics().await?;
        Ok(config)
    }

    /// For messages to new topics, before they are acknowledged: a message must not outlive its
    /// topic when the process is killed, and who looks for the topic afterwards finds it. `false`
    /// if the topics could not be saved.
    pub async fn keep_new_topics(&self) -> bool {
        let kept = self.save_topics().await;
        if let Err(refusal) = &kept {
            tracing::error!(reason = %refusal.reason, "new topics were not saved");
        }
        kept.is_ok()
    }

    /// Waits until the topics are on disk and name servers know them: an operator's change is
    /// answered for, and his next look at the route shows it.
    async fn save_topics(&self) -> Result<(), Refusal> {
        let topics = self.shared_topics();
        self.saves.topics.save(move || topics.persist()).await?;
        self.announced().await;
        Ok(())
    }

    /// Removes a topic, its queues, and every group's progress in it. Unknown topics are removed
    /// already.
    ///
    /// # Errors
    /// The topic is the broker's own, or the filesystem refused.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), Refusal> {
        names::check_topic(topic)?;
        if self.topics().is_system(topic) {
            let reason = format!("the topic[{topic}] is a system topic and cannot be deleted");
            return Err(Refusal::invalid(reason));
        }
        self.topics().remove(topic);
        self.offsets().remove_topic(topic);
        self.stats().forget(topic);
        self.save_topics().await?;
        self.delete_queues(topic).await
    }

    async fn delete_queues(&self, topic: &str) -> Result<(), Refusal> {
        let (store, topic) = (self.shared_store(), topic.to_owned());
        let deleted = blocking(move || store.delete_topic(&topic)).await?;
        deleted.map_err(|error| Refusal::new(RefusalKind::SystemError, error.to_string()))
    }

    /// Removes the queues of topics that are not there any more; returns how many topics.
    ///
    /// # Errors
    /// The filesystem refused.
    pub async fn clean_unused_topics(&self) -> Result<usize, Refusal> {
        let mut unused: Vec<_> = self.store().queues(None).into_iter().map(|q| q.topic).collect();
        unused.sort_unstable();
        unused.dedup();
        unused.retain(|topic| !self.topics().contains(topic) && !self.topics().is_system(topic));
        for topic in &unused {
            self.delete_queues(topic).await?;
        }
        Ok(unused.len())
    }

    /// Removes ConsumeQueue files that point before the log's beginning; returns how many.
    ///
    /// # Errors
    /// The filesystem refused.
    pub async fn clean_expired_queues(&self) -> Result<usize, Refusal> {
        let store = self.shared_store();
        let cleaned = blocking(move || store.clean_expired_queues()).await?;
        cleaned.map_err(|error| Refusal::new(RefusalKind::SystemError, error.to_string()))
    }

    /// Removes CommitLog files past their time, whatever the hour; returns how many.
    ///
    /// # Errors
    /// The filesystem refused.
    pub async fn delete_expired_log(&self) -> Result<usize, Refusal> {
        let store = self.shared_store();
        let deleted = blocking(move || store.delete_expired()).await?;
        deleted.map_err(|error| Refusal::new(RefusalKind::SystemError, error.to_string()))
    }
}

/// Why a topic does not come to be. Who has as many as may be theirs is in the audit: nothing else asks about that.
pub(crate) fn refused_topic(
    caller: Caller<'_>,
    topic: &str,
    error: &blockhouse_meta::Error,
) -> Refusal {
    let refusal = refused_change(error);
    if matches!(error, blockhouse_meta::Error::Share { .. }) {
        let access = Access { action: Action::Create, resource: Resource::Topic(topic) };
        caller.hooks.beyond_quota(caller.cx, &[access], &refusal.reason);
    }
    refusal
}

/// RocketMQ's codes for the ways in which a change can be wrong.
pub(crate) fn refused_change(error: &blockhouse_meta::Error) -> Refusal {
    use blockhouse_meta::Error;
    let kind = match error {
        Error::Name(_) | Error::SystemTopic(_) | Error::MixedType | Error::Queues { .. } => {
            RefusalKind::InvalidParameter
        }
        _ => RefusalKind::SystemError,
    };
    Refusal::new(kind, error.to_string())
}
