//! What a test can ask of the sample.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How the plugin wants to see bodies. The native hook sees them always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bodies {
    /// Their sizes only.
    None,
    /// In the batch.
    #[default]
    Flat,
    /// On demand.
    Lent,
}

/// A way to misbehave. Only the plugin does; the native hook passes over faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Panics, which traps after a line in the log.
    Trap,
    /// Never returns.
    Loop,
    /// Takes memory until it gets no more, then traps.
    Grow,
    /// Calls itself without end.
    Recurse,
    /// Calls the host a million times, then goes on as if nothing was.
    HostCalls,
    /// Writes a million lines of 64 KiB to the log.
    LogFlood,
    /// Answers an error, where the call has one (`init`, `health`, `config-changed`, `audit`).
    Error,
    /// Answers far more than it was given: a body, a reason or a list of 8 MiB.
    Oversized,
    /// Answers for a message, span or route entry that is not in the batch.
    IndexBeyond,
    /// Answers twice for the same message or route entry.
    IndexTwice,
    /// Answers with a mask of the wrong length (before-deliver).
    MaskLength,
    /// Sets a property with the separators in its name, or an attribute with control characters.
    IllegalName,
    /// Sets a property with an empty name.
    EmptyName,
    /// Reroutes to a topic whose name is not legal.
    IllegalTopic,
    /// Sets more properties or attributes than are allowed.
    TooManyEdits,
}

/// The rules. A rule that is absent does nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Connections from these internet addresses are refused.
    pub refuse_peers: Vec<String>,
    /// Access keys and the signature that proves each; other keys are unknown. The principal is the
    /// key's name. With the signature `body`, the request's body must be the signature.
    pub signatures: BTreeMap<String, String>,
    /// These users (or `anonymous`) may do nothing: refused in authorize.
    pub deny_principals: Vec<String>,
    /// These things nobody may do, for example `pub topic:orders`.
    pub deny_accesses: Vec<String>,
    /// The code of refusals; none leaves it to the protocol.
    pub reject_code: Option<i32>,
    /// Messages with this in their body are refused.
    pub reject_body: Option<String>,
    /// Messages with this in their body are dropped.
    pub drop_body: Option<String>,
    /// Messages with this in their body go to that topic.
    pub reroute: BTreeMap<String, String>,
    /// This in a body is replaced by that, when messages are sent.
    pub replace: BTreeMap<String, String>,
    /// Properties that are set on each message sent.
    pub set_property: BTreeMap<String, String>,
    /// Properties that are taken out of each message sent.
    pub delete_property: Vec<String>,
    /// Consumers of these groups may not pull.
    pub deny_pull_groups: Vec<String>,
    /// This in a body is delivered as asterisks.
    pub mask: Option<String>,
    /// Messages with this tag are not delivered.
    pub hide_tag: Option<String>,
    /// These administrative commands are refused, by name.
    pub deny_commands: Vec<String>,
    /// These brokers may not report themselves.
    pub deny_brokers: Vec<String>,
    /// Only these brokers are told of, in this order.
    pub keep_brokers: Option<Vec<String>>,
    /// Routes of these topics are refused.
    pub deny_routes: Vec<String>,
    /// Attributes of spans, and the property of the message that each takes its value from.
    pub span_attributes: BTreeMap<String, String>,
    /// How the plugin wants to see bodies.
    pub bodies: Bodies,
    /// The most messages of one call; 0 leaves it to the host.
    pub batch_max: u32,
    /// Whether what is observed is told: the plugin logs it, the native hook keeps it.
    pub tell: bool,
    /// Whether the plugin asks the host at each authorize call, and tells the answers: it counts in
    /// `kv` and in the metric `conformance_calls`, and reads the clock.
    pub ask_host: bool,
    /// KiB of memory that the plugin takes with each call and keeps; the native hook takes none.
    pub keep_kib: usize,
    /// How to misbehave, by the interface's name or, for the calls of `lifecycle` and `connection`,
    /// the function's.
    pub faults: BTreeMap<String, Fault>,
    /// Misbehave only where this is in a body, or in the name that the call is about.
    pub fault_on: Option<String>,
    /// Misbehave only from this call of the instance on, counted from 0.
    pub fault_after: u64,
}

impl Rules {
    /// The rules of a JSON text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    /// How to misbehave at `at`, in a call about `subjects`, if at all.
    pub fn fault<'a>(
        &self,
        at: &str,
        calls: u64,
        mut subjects: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Fault> {
        let fault = self.faults.get(at)?;
        let about = match &self.fault_on {
            Some(needle) => subjects.any(|subject| contains(subject, needle)),
            None => true,
        };
        (about && calls >= self.fault_after).then_some(*fault)
    }
}

/// Whether `needle` is in `bytes`. An empty one is in nothing.
pub(crate) fn contains(bytes: &[u8], needle: &str) -> bool {
    find(bytes, needle.as_bytes()).is_some()
}

/// Where `needle` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    bytes.windows(needle.len()).position(|window| window == needle)
}
