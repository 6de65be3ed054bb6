//! Attributes that every span gets, as the operator wrote them.

use std::collections::BTreeMap;

use crate::VALUE_MAX;

/// Attributes that the host adds to one span.
const COUNT_MAX: usize = 16;
/// Bytes of a name, as the host takes them.
const NAME_MAX: usize = 128;
/// Bytes of all names and values: the host takes 64 KiB for a call, which is about 32 spans.
const BYTES_MAX: usize = 2_048;

/// Names and values that fit on a span: a mistake is told when the plugin is loaded, and not lost on each span.
#[derive(Default, serde::Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub(crate) struct Fixed(BTreeMap<String, String>);

impl TryFrom<BTreeMap<String, String>> for Fixed {
    type Error = String;

    fn try_from(attributes: BTreeMap<String, String>) -> Result<Self, String> {
        if attributes.len() > COUNT_MAX {
            return Err(format!("{} attributes, a span takes {COUNT_MAX}", attributes.len()));
        }
        let bytes: usize = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > BYTES_MAX {
            return Err(format!("{bytes} bytes of attributes, each span takes {BYTES_MAX}"));
        }
        attributes.iter().try_for_each(|(name, value)| legal(name, value))?;
        Ok(Self(attributes))
    }
}

fn legal(name: &str, value: &str) -> Result<(), String> {
    let wrong = |what| Err(format!("attribute {name:?}: {what}"));
    if name.is_empty() {
        return Err("an attribute has no name".to_owned());
    }
    if name.len() > NAME_MAX {
        return wrong(format!("a name of more than {NAME_MAX} bytes"));
    }
    if value.len() > VALUE_MAX {
        return wrong(format!("a value of more than {VALUE_MAX} bytes"));
    }
    if name.chars().chain(value.chars()).any(char::is_control) {
        return wrong("a control character".to_owned());
    }
    Ok(())
}

impl Fixed {
    /// Names and values, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
