//! Properties that a tenant wants to see on its spans.

use std::collections::BTreeMap;

/// Which properties are shown for which tenant.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tenants {
    /// The property that names the tenant. A message without it has no baggage.
    tenant_property: String,
    /// Before each attribute's name.
    #[serde(default = "prefix")]
    prefix: String,
    /// For each tenant the properties that it may show. One that is not listed shows nothing.
    allow: BTreeMap<String, Vec<String>>,
}

fn prefix() -> String {
    "baggage.".to_owned()
}

impl Tenants {
    /// The attributes of a message with these properties.
    pub(crate) fn shown<'a>(
        &self,
        property: impl Fn(&str) -> Option<&'a str>,
    ) -> Vec<(String, String)> {
        let tenant = property(&self.tenant_property);
        let Some(allowed) = tenant.and_then(|tenant| self.allow.get(tenant)) else {
            return Vec::new();
        };
        let shown = |name: &String| {
            property(name).map(|value| (format!("{}{name}", self.prefix), value.to_owned()))
        };
        allowed.iter().filter_map(shown).collect()
    }
}
