//! The KV configuration: namespace -> key -> value, kept by operators through `updateKvConfig`.

use std::collections::BTreeMap;

/// The namespace that holds queue counts of ordered topics, by topic.
pub const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

/// Everything together may be this long, in bytes.
pub const BYTES_MAX: usize = 16 << 20;

/// Keys and values by namespace.
pub type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

/// Why an entry was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// A nameless namespace or key.
    #[error("namespace or key is empty")]
    Empty,
    /// [`BYTES_MAX`] reached.
    #[error("the KV configuration would be longer than {BYTES_MAX} bytes")]
    Full,
}

/// The KV configuration as data; whoever owns it persists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KvConfig {
    table: Namespaces,
    bytes: usize,
}

impl KvConfig {
    /// A configuration with what `table` holds.
    #[must_use]
    pub fn from_table(table: Namespaces) -> Self {
        let of_values = |values: &BTreeMap<String, String>| {
            values.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>()
        };
        let bytes = table.iter().map(|(name, values)| name.len() + of_values(values)).sum();
        Self { table, bytes }
    }

    /// Everything.
    #[must_use]
    pub const fn table(&self) -> &Namespaces {
        &self.table
    }

    /// Sets a value.
    ///
    /// # Errors
    /// A name is empty, or there is no room.
    pub fn put(&mut self, namespace: &str, key: &str, value: &str) -> Result<(), KvError> {
        if namespace.is_empty() || key.is_empty() {
            return Err(KvError::Empty);
        }
        let old = self.value(namespace, key);
        let name = if self.table.contains_key(namespace) { 0 } else { namespace.len() };
        let gone = old.map_or(0, |old| key.len() + old.len());
        let bytes = self.bytes - gone + name + key.len() + value.len();
        if bytes > BYTES_MAX {
            return Err(KvError::Full);
        }
        self.bytes = bytes;
        self.table
            .entry(namespace.to_owned())
            .or_default()
            .insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// A value.
    #[must_use]
    pub fn value(&self, namespace: &str, key: &str) -> Option<&str> {
        self.table.get(namespace)?.get(key).map(String::as_str)
    }

    /// Takes a value out; the namespace stays, as in RocketMQ. Returns whether it was there.
    pub fn delete(&mut self, namespace: &str, key: &str) -> bool {
        let removed = self.table.get_mut(namespace).and_then(|values| values.remove(key));
        self.bytes -= removed.as_ref().map_or(0, |value| key.len() + value.len());
        removed.is_some()
    }

    /// The entries of a namespace; `None` if it never had any.
    #[must_use]
    pub fn namespace(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        self.table.get(namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_set_replaced_and_deleted_and_the_namespace_stays() {
        let mut kv = KvConfig::default();
        kv.put("ns", "k", "v1").unwrap();
        kv.put("ns", "k", "v2").unwrap();
        assert_eq!(kv.value("ns", "k"), Some("v2"));
        assert_eq!(KvConfig::from_table(kv.table().clone()), kv);
        assert!(kv.delete("ns", "k"));
        assert!(!kv.delete("ns", "k"));
        assert_eq!(kv.value("ns", "k"), None);
        assert!(kv.namespace("ns").is_some_and(BTreeMap::is_empty));
        assert!(kv.namespace("other").is_none());
        assert_eq!(KvConfig::from_table(kv.table().clone()), kv);
    }

    #[test]
    fn the_whole_is_bounded_and_names_are_needed() {
        let mut kv = KvConfig::default();
        assert_eq!(kv.put("", "k", "v"), Err(KvError::Empty));
        assert_eq!(kv.put("ns", "", "v"), Err(KvError::Empty));
        let half = "v".repeat(BYTES_MAX / 2);
        kv.put("ns", "a", &half).unwrap();
        assert_eq!(kv.put("ns", "b", &half), Err(KvError::Full));
        assert_eq!(kv.value("ns", "b"), None);
        kv.put("ns", "a", &half).unwrap();
        kv.delete("ns", "a");
        kv.put("ns", "b", &half).unwrap();
    }
}
