//! Administration of consumer groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockhouse_meta::Extra;
use blockhouse_model::{SubscriptionGroup, names};

use crate::topics::refused_change;
use crate::{Broker, Refusal};

impl Broker {
    /// Creates or changes a group. `attributes` are changes in RocketMQ's form; `extra` are fields
    /// that only Java brokers act on, which are kept.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub async fn update_group(
        &self,
        config: SubscriptionGroup,
        attributes: &BTreeMap<String, String>,
        extra: Option<Extra>,
    ) -> Result<Arc<SubscriptionGroup>, Refusal> {
        let config = self
            .groups()
            .update(config, attributes, extra)
            .map_err(|error| refused_change(&error))?;
        self.save_groups().await?;
        Ok(config)
    }

    /// Waits until the groups are on disk.
    async fn save_groups(&self) -> Result<(), Refusal> {
        let groups = self.shared_groups();
        self.saves.groups.save(move || groups.persist()).await
    }

    /// Removes a group; with `clean_offsets` also its progress, and its retry and dead-letter
    /// topics' place in it.
    ///
    /// # Errors
    /// The name is not one.
    pub async fn delete_group(&self, group: &str, clean_offsets: bool) -> Result<(), Refusal> {
        names::check_group(group)?;
        self.groups().remove(group);
        if clean_offsets {
            self.offsets().remove_group(group);
        }
        self.stats().forget(group);
        self.save_groups().await
    }

    /// Sets or clears bit `index` between a group and a topic (bit 0 keeps it from reading), and
    /// returns all bits. `None` looks without changing.
    ///
    /// # Errors
    /// A name is not one.
    pub async fn forbid(
        &self,
        group: &str,
        topic: &str,
        change: Option<(u32, bool)>,
    ) -> Result<u32, Refusal> {
        if let Some((index, set)) = change {
            self.groups()
                .forbid(group, topic, index, set)
                .map_err(|error| refused_change(&error))?;
            self.save_groups().await?;
        }
        Ok(self.groups().forbidden_bits(group, topic))
    }
}
