//! What the rules say, in plain words.

use crate::Rules;
use crate::rules::{contains, find};

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The response code.
    pub code: Option<i32>,
    /// The sentence for the client.
    pub reason: String,
}

/// Who a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Not known here.
    Unknown,
    /// This user.
    Known(String),
    /// The proof is wrong.
    Refused(Refusal),
}

/// What becomes of a message that is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It is stored.
    #[default]
    Admit,
    /// It is refused.
    Reject(Refusal),
    /// It is dropped.
    Drop,
    /// It goes to another topic.
    Reroute(String),
}

/// What changes for a message that is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// What becomes of it.
    pub fate: Fate,
    /// Its new body.
    pub body: Option<Vec<u8>>,
    /// Properties to set.
    pub set: Vec<(String, String)>,
    /// Properties to take out.
    pub delete: Vec<String>,
}

/// What becomes of a message that is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// It is delivered as it is.
    Keep,
    /// It is not delivered.
    Hide,
    /// It is delivered with this body.
    Body(Vec<u8>),
}

impl Rules {
    fn refuse(&self, reason: String) -> Refusal {
        Refusal { code: self.reject_code, reason }
    }

    fn refuse_if(&self, named: &[String], name: &str, what: &str) -> Result<(), Refusal> {
        if named.iter().any(|other| other == name) {
            return Err(self.refuse(format!("the sample refuses {what} {name}")));
        }
        Ok(())
    }

    /// May a client connect from there?
    ///
    /// # Errors
    /// It may not.
    pub fn connect(&self, ip: &str) -> Result<(), Refusal> {
        self.refuse_if(&self.refuse_peers, ip, "the address")
    }

    /// Who is this?
    #[must_use]
    pub fn identify(&self, access_key: &str, signature: &str, body: &[u8]) -> Who {
        let Some(expected) = self.signatures.get(access_key) else { return Who::Unknown };
        let proved = match expected.as_str() {
            "body" => signature.as_bytes() == body,
            expected => signature == expected,
        };
        if proved {
            return Who::Known(access_key.to_owned());
        }
        Who::Refused(
            self.refuse(format!("the sample does not know this signature of {access_key}")),
        )
    }

    /// May `user` do all of `accesses` (`pub topic:orders`)?
    ///
    /// # Errors
    /// It may not.
    pub fn authorize(
        &self,
        user: Option<&str>,
        accesses: impl IntoIterator<Item = String>,
    ) -> Result<(), Refusal> {
        self.refuse_if(&self.deny_principals, user.unwrap_or("anonymous"), "the principal")?;
        let mut accesses = accesses.into_iter();
        accesses.try_for_each(|access| self.refuse_if(&self.deny_accesses, &access, "to"))
    }

    /// What changes for a message that is sent; `None` if nothing does.
    #[must_use]
    pub fn send(&self, body: &[u8], has_property: impl Fn(&str) -> bool) -> Option<Effect> {
        let fate = self.fate(body);
        let set = self.set_property.iter().map(|(name, value)| (name.clone(), value.clone()));
        let delete = self.delete_property.iter().filter(|name| has_property(name)).cloned();
        let (set, delete) = (set.collect(), delete.collect());
        let effect = Effect { fate, body: self.replaced(body), set, delete };
        (effect != Effect::default()).then_some(effect)
    }

    fn fate(&self, body: &[u8]) -> Fate {
        let in_body =
            |needle: &Option<String>| needle.as_ref().is_some_and(|needle| contains(body, needle));
        if in_body(&self.reject_body) {
            return Fate::Reject(self.refuse("the sample refuses this body".to_owned()));
        }
        if in_body(&self.drop_body) {
            return Fate::Drop;
        }
        let topic = self.reroute.iter().find(|(needle, _)| contains(body, needle));
        topic.map_or(Fate::Admit, |(_, topic)| Fate::Reroute(topic.clone()))
    }

    fn replaced(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut changed: Option<Vec<u8>> = None;
        for (from, to) in &self.replace {
            let new =
                substitute(changed.as_deref().unwrap_or(body), from, |_| to.as_bytes().to_vec());
            changed = new.or(changed);
        }
        changed
    }

    /// May this group pull?
    ///
    /// # Errors
    /// It may not.
    pub fn pull(&self, group: &str) -> Result<(), Refusal> {
        self.refuse_if(&self.deny_pull_groups, group, "the group")
    }

    /// What becomes of a message that is delivered.
    #[must_use]
    pub fn deliver(&self, tag: Option<&str>, body: &[u8]) -> Outgoing {
        if tag.is_some() && tag == self.hide_tag.as_deref() {
            return Outgoing::Hide;
        }
        let masked = self
            .mask
            .as_ref()
            .and_then(|mask| substitute(body, mask, |found| vec![b'*'; found.len()]));
        masked.map_or(Outgoing::Keep, Outgoing::Body)
    }

    /// May this administrative command take effect?
    ///
    /// # Errors
    /// It may not.
    pub fn command(&self, name: &str) -> Result<(), Refusal> {
        self.refuse_if(&self.deny_commands, name, "the command")
    }

    /// May this broker report itself?
    ///
    /// # Errors
    /// It may not.
    pub fn register(&self, broker: &str) -> Result<(), Refusal> {
        self.refuse_if(&self.deny_brokers, broker, "the broker")
    }

    /// The places in `brokers` that the client is told of, in order; `None` for all as they are.
    ///
    /// # Errors
    /// The route is refused.
    pub fn route<'a>(
        &self,
        topic: &str,
        brokers: &(impl Iterator<Item = &'a str> + Clone),
    ) -> Result<Option<Vec<usize>>, Refusal> {
        self.refuse_if(&self.deny_routes, topic, "the route of")?;
        let place = |keep: &String| brokers.clone().position(|broker| broker == keep);
        Ok(self.keep_brokers.as_ref().map(|keep| keep.iter().filter_map(place).collect()))
    }

    /// The attributes that a span gets from its message.
    #[must_use]
    pub fn attributes<'a>(
        &self,
        property: impl Fn(&str) -> Option<&'a str>,
    ) -> Vec<(String, String)> {
        let value = |(attribute, name): (&String, &String)| {
            property(name).map(|value| (attribute.clone(), value.to_owned()))
        };
        self.span_attributes.iter().filter_map(value).collect()
    }
}

/// `bytes` with every `needle` replaced; `None` if there is none.
fn substitute(bytes: &[u8], needle: &str, with: impl Fn(&[u8]) -> Vec<u8>) -> Option<Vec<u8>> {
    let (mut rest, mut out) = (bytes, Vec::new());
    while let Some((before, found)) = find(rest, needle.as_bytes()).map(|at| rest.split_at(at)) {
        let (found, after) = found.split_at(needle.len());
        out.extend_from_slice(before);
        out.extend(with(found));
        rest = after;
    }
    if rest.len() == bytes.len() {
        return None;
    }
    out.extend_from_slice(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_is_replaced_and_nothing_else() {
        let stars = |found: &[u8]| vec![b'*'; found.len()];
        assert_eq!(
            substitute(b"a secret, secrets", "secret", stars).unwrap(),
            b"a ******, ******s"
        );
        assert_eq!(substitute(b"nothing", "secret", stars), None);
        assert_eq!(substitute(b"x", "", stars), None);
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = Rules::parse(r#"{"reject_body":"a","drop_body":"b","reroute":{"c":"other"}}"#);
        let rules = rules.unwrap();
        let fate = |body: &[u8]| rules.send(body, |_| false).map(|effect| effect.fate);
        assert!(matches!(fate(b"abc"), Some(Fate::Reject(_))));
        assert_eq!(fate(b"bc"), Some(Fate::Drop));
        assert_eq!(fate(b"c"), Some(Fate::Reroute("other".to_owned())));
        assert_eq!(fate(b"d"), None);
    }

    #[test]
    fn brokers_are_kept_in_the_order_of_the_rule() {
        let rules = Rules::parse(r#"{"keep_brokers":["c","a","x"]}"#).unwrap();
        assert_eq!(rules.route("t", &["a", "b", "c"].into_iter()), Ok(Some(vec![2, 0])));
        assert_eq!(Rules::default().route("t", &["a"].into_iter()), Ok(None));
    }

    #[test]
    fn a_fault_waits_for_its_call_and_its_subject() {
        let rules = r#"{"faults":{"authorize":"trap"},"fault_on":"orders","fault_after":2}"#;
        let rules = Rules::parse(rules).unwrap();
        let fault =
            |calls, subject: &'static [u8]| rules.fault("authorize", calls, [subject].into_iter());
        assert_eq!(fault(2, b"pub topic:orders"), Some(crate::Fault::Trap));
        assert_eq!(fault(1, b"pub topic:orders"), None);
        assert_eq!(fault(2, b"pub topic:others"), None);
    }

    #[test]
    fn unknown_rules_are_refused() {
        assert!(Rules::parse(r#"{"deny":1}"#).unwrap_err().contains("deny"));
    }
}
