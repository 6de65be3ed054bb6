//! Baggage that a tenant wants to see on its spans: properties of the message, and members of the W3C header
//! `baggage` in one of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::w3c;

/// Which baggage is shown for which tenant.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tenants {
    /// The property, or member of the header, that names the tenant. A message without it has no baggage.
    tenant_property: String,
    /// The property that holds the header.
    #[serde(default = "header")]
    header: String,
    /// Before each attribute's name.
    #[serde(default = "prefix")]
    prefix: String,
    /// For each tenant the properties and members that it may show. One that is not listed shows nothing.
    allow: BTreeMap<String, Vec<String>>,
}

fn prefix() -> String {
    "baggage.".to_owned()
}

fn header() -> String {
    "baggage".to_owned()
}

impl Tenants {
    /// The attributes of a message with these properties. A property is shown before a member of the same name.
    pub(crate) fn shown<'a>(
        &self,
        property: impl Fn(&str) -> Option<&'a str>,
    ) -> Vec<(String, String)> {
        let header = property(&self.header);
        let find = |name: &str| {
            let member = || w3c::value(header?, name).map(Cow::Owned);
            property(name).map(Cow::Borrowed).or_else(member)
        };
        let tenant = find(&self.tenant_property);
        let Some(allowed) = tenant.and_then(|tenant| self.allow.get(&*tenant)) else {
            return Vec::new();
        };
        let shown = |name: &String| {
            find(name).map(|value| (format!("{}{name}", self.prefix), value.into_owned()))
        };
        allowed.iter().filter_map(shown).collect()
    }
}
