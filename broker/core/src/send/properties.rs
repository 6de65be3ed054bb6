//! The property text as it is stored: what the client sent, and what the broker adds.

use blockhouse_model::properties as name;

/// The pairs that this broker puts on every message, ready as text.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    /// `MSG_REGION`, `TRACE_ON`, `CLUSTER`.
    text: String,
}

impl Stamp {
    pub(crate) fn new(region: &str, trace_on: bool, cluster: &str) -> Self {
        let mut text = String::new();
        name::push(&mut text, name::MSG_REGION, region);
        name::push(&mut text, name::TRACE_ON, if trace_on { "true" } else { "false" });
        name::push(&mut text, name::CLUSTER, cluster);
        Self { text }
    }

    /// Appends `client`'s text and the stamp to `out`. `rewrite`: the client's text has pairs that
    /// are ours to set, so it is taken apart; else it is copied as it is.
    pub(crate) fn apply(&self, out: &mut String, client: &str, rewrite: bool) {
        if rewrite {
            for (key, value) in name::pairs(client).filter(|(key, _)| !is_ours(key)) {
                push_pair(out, key, value);
            }
        } else {
            out.push_str(client);
            close(out, client);
        }
        out.push_str(&self.text);
    }
}

/// Ends the last pair of `text`, which stands at the end of `out`.
pub(crate) fn close(out: &mut String, text: &str) {
    if !text.is_empty() && !text.ends_with(char::from(name::PAIR_SEPARATOR)) {
        out.push(char::from(name::PAIR_SEPARATOR));
    }
}

/// Appends one pair, without the look-back of [`name::push`].
pub(crate) fn push_pair(out: &mut String, key: &str, value: &str) {
    out.push_str(key);
    out.push(char::from(name::NAME_VALUE_SEPARATOR));
    out.push_str(value);
    out.push(char::from(name::PAIR_SEPARATOR));
}

fn is_ours(key: &str) -> bool {
    matches!(
        key,
        name::CLUSTER
            | name::MSG_REGION
            | name::TRACE_ON
            | name::POP_CHECK_POINT
            | name::REAL_TOPIC
            | name::REAL_QUEUE_ID
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_replaces_pairs_that_clients_bring_back() {
        let stamp = Stamp::new("R", true, "C");
        let mut plain = String::new();
        stamp.apply(&mut plain, "TAGS\u{1}a", false);
        assert_eq!(name::find(&plain, name::TAGS), Some("a"));
        assert_eq!(name::find(&plain, name::CLUSTER), Some("C"));

        let mut again = String::new();
        stamp.apply(&mut again, &format!("{plain}POP_CK\u{1}x\u{2}"), true);
        assert_eq!(name::pairs(&again).filter(|(k, _)| *k == name::CLUSTER).count(), 1);
        assert!(!name::has(&again, name::POP_CHECK_POINT));
        assert_eq!(name::find(&again, name::TAGS), Some("a"));
    }
}
