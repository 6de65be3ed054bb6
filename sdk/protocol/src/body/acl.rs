//! ACLs: 3006, 3007, 3009, 3010.

use blockhouse_model::{Acl, AclEntry};
use serde::{Deserialize, Deserializer, Serialize};

/// What a subject may do, or what is to change of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AclInfo {
    /// Lists of entries, by type.
    #[serde(deserialize_with = "nothing_is_empty")]
    pub policies: Vec<PolicyInfo>,
    /// Whose, as `User:NAME`.
    pub subject: Option<String>,
}

/// Entries of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyInfo {
    /// The entries.
    #[serde(deserialize_with = "nothing_is_empty")]
    pub entries: Vec<PolicyEntryInfo>,
    /// `Custom` or `Default`; absent: `Custom`.
    pub policy_type: Option<String>,
}

/// What may be done to one resource, or may not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyEntryInfo {
    /// The actions' names.
    #[serde(deserialize_with = "listed")]
    pub actions: Listed,
    /// `Allow` or `Deny`.
    pub decision: Option<String>,
    /// `TYPE:NAME`, `TYPE:PREFIX*`, `TYPE:*` or `*`.
    pub resource: Option<String>,
    /// Addresses and networks that it is for; absent: all.
    #[serde(deserialize_with = "listed")]
    pub source_ips: Listed,
}

/// A list of texts. Clients up to 5.3 write a list that several entries share once, and then where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Listed {
    /// The list.
    Here(Option<Vec<String>>),
    /// As a list elsewhere in this body: `$.policies[0].entries[0].actions`.
    There {
        /// Where.
        #[serde(rename = "$ref")]
        path: String,
    },
}

impl Default for Listed {
    fn default() -> Self {
        Self::Here(None)
    }
}

impl From<Vec<String>> for Listed {
    /// An empty list is left out, as Java does it.
    fn from(list: Vec<String>) -> Self {
        Self::Here(Some(list).filter(|list| !list.is_empty()))
    }
}

impl AclInfo {
    /// What a request says, whose header names the subject, too.
    ///
    /// # Errors
    /// The body is of another subject, or a list is said to be where none is.
    pub fn acl(&self, subject: &str) -> Result<Acl, &'static str> {
        if self.subject.as_ref().is_some_and(|named| named != subject) {
            return Err("the header and the body name different subjects");
        }
        let missing = || "a list is said to be where none is";
        let mut entries = Vec::new();
        for policy in &self.policies {
            for entry in &policy.entries {
                entries.push(AclEntry {
                    policy_type: policy.policy_type.clone().unwrap_or_default(),
                    resource: entry.resource.clone().unwrap_or_default(),
                    actions: self.texts(&entry.actions).ok_or_else(missing)?.to_vec(),
                    source_ips: self.texts(&entry.source_ips).ok_or_else(missing)?.to_vec(),
                    decision: entry.decision.clone().unwrap_or_default(),
                });
            }
        }
        Ok(Acl { subject: subject.to_owned(), entries })
    }

    /// An ACL as it is shown: entries of one type together.
    #[must_use]
    pub fn of(acl: &Acl) -> Self {
        let mut policies: Vec<PolicyInfo> = Vec::new();
        for entry in &acl.entries {
            let shown = PolicyEntryInfo {
                actions: entry.actions.clone().into(),
                decision: Some(entry.decision.clone()),
                resource: Some(entry.resource.clone()),
                source_ips: entry.source_ips.clone().into(),
            };
            let of_type = |policy: &&mut PolicyInfo| {
                policy.policy_type.as_deref() == Some(entry.policy_type.as_str())
            };
            match policies.iter_mut().find(of_type) {
                Some(policy) => policy.entries.push(shown),
                None => policies.push(PolicyInfo {
                    entries: vec![shown],
                    policy_type: Some(entry.policy_type.clone()),
                }),
            }
        }
        Self { policies, subject: Some(acl.subject.clone()) }
    }

    /// What a list has in it; `None` for one that is said to be where none is.
    #[must_use]
    pub fn texts<'a>(&'a self, list: &'a Listed) -> Option<&'a [String]> {
        let texts = match list {
            Listed::Here(texts) => texts,
            // A list that is elsewhere is whole there: nothing goes in circles.
            Listed::There { path } => match self.at(path)? {
                Listed::Here(texts) => texts,
                Listed::There { .. } => return None,
            },
        };
        Some(texts.as_deref().unwrap_or_default())
    }

    fn at(&self, path: &str) -> Option<&Listed> {
        let (policy, rest) = path.strip_prefix("$.policies[")?.split_once("].entries[")?;
        let (entry, field) = rest.split_once("].")?;
        let policy = self.policies.get(policy.parse::<usize>().ok()?)?;
        let entry = policy.entries.get(entry.parse::<usize>().ok()?)?;
        match field {
            "actions" => Some(&entry.actions),
            "sourceIps" => Some(&entry.source_ips),
            _ => None,
        }
    }
}

fn nothing_is_empty<'de, D, T>(value: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

fn listed<'de, D: Deserializer<'de>>(value: D) -> Result<Listed, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Body as _;

    #[test]
    fn what_java_writes_is_read_and_written_alike() {
        let text = br#"{"policies":[{"entries":[{"actions":["Pub","Sub"],"decision":"Allow","resource":"Topic:t"}],"policyType":"Custom"}],"subject":"User:u"}"#;
        let acl = AclInfo::decode(text).unwrap();
        assert_eq!(acl.encode(), text.as_slice());
        let entry = &acl.policies[0].entries[0];
        assert_eq!(acl.texts(&entry.actions).unwrap(), ["Pub", "Sub"]);
        assert_eq!(acl.texts(&entry.source_ips).unwrap(), [""; 0]);
        assert_eq!(AclInfo::of(&acl.acl("User:u").unwrap()), acl);
        acl.acl("User:v").unwrap_err();
        assert_eq!(AclInfo::decode(b"{}").unwrap(), AclInfo::default());
        let null = br#"{"policies":null,"subject":null}"#;
        assert_eq!(AclInfo::decode(null).unwrap(), AclInfo::default());
        AclInfo::decode(br#"{"policies":{}}"#).unwrap_err();
        AclInfo::decode(br#"{"policies":[{"entries":[{"actions":"Pub"}]}]}"#).unwrap_err();
    }

    #[test]
    fn a_list_that_is_shared_is_found() {
        let text = br#"{"policies":[{"entries":[{"actions":["Pub"],"resource":"Topic:a"},{"actions":{"$ref":"$.policies[0].entries[0].actions"},"resource":"Topic:b"}]}]}"#;
        let acl = AclInfo::decode(text).unwrap();
        assert_eq!(acl.texts(&acl.policies[0].entries[1].actions).unwrap(), ["Pub"]);
        for path in [
            "$.policies[0].entries[1].actions",
            "$.policies[0].entries[9].actions",
            "$.policies[0].entries[0].resource",
            "$.policies[99999999999999999999].entries[0].actions",
            "$",
        ] {
            let list = Listed::There { path: path.to_owned() };
            assert_eq!(acl.texts(&list), None, "{path}");
        }
    }
}
