//! Fields of a JSON text, found by path and told by where they are in the text.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A path to fields: `$.customer.email`, `$.items[*].iban`, `$['a name'][0]`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
    Every,
}

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text}: write paths as $.name, $['a name'], $.list[0], $.list[*]");
        let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or_else(wrong)?;
            steps.push(step);
            rest = after;
        }
        if steps.is_empty() { Err(wrong()) } else { Ok(Self(steps)) }
    }
}

fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(name) = text.strip_prefix('.') {
        let end = name.find(['.', '[']).unwrap_or(name.len());
        let (name, rest) = name.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (Step::Member(name.to_owned()), rest));
    }
    if let Some(name) = text.strip_prefix("['") {
        let (name, rest) = name.split_once("']")?;
        return Some((Step::Member(name.to_owned()), rest));
    }
    let (place, rest) = text.strip_prefix('[')?.split_once(']')?;
    match place {
        "*" => Some((Step::Every, rest)),
        place => Some((Step::Element(place.parse().ok()?), rest)),
    }
}

/// The text of a body that is one JSON document.
pub(crate) fn document(body: &[u8]) -> Option<&str> {
    let text = str::from_utf8(body).ok()?;
    serde_json::from_str::<&RawValue>(text).ok().map(|_| text)
}

impl Path {
    /// Where in the document the fields are, of each member that has the name; `None` if the text
    /// cannot be read after all.
    pub(crate) fn find(&self, document: &str) -> Option<Vec<Range<usize>>> {
        let mut found = vec![serde_json::from_str::<&RawValue>(document).ok()?.get()];
        for step in &self.0 {
            let mut next = Vec::new();
            for value in found {
                descend(step, value, &mut next)?;
            }
            found = next;
        }
        let place = |value: &str| {
            let start = value.as_ptr().addr() - document.as_ptr().addr();
            start..start + value.len()
        };
        Some(found.into_iter().map(place).collect())
    }
}

fn descend<'a>(step: &Step, value: &'a str, found: &mut Vec<&'a str>) -> Option<()> {
    match (step, value.as_bytes().first()?) {
        (Step::Member(name), b'{') => {
            let Members(members) = serde_json::from_str(value).ok()?;
            let named = members.into_iter().filter(|(other, _)| other == name);
            found.extend(named.map(|(_, value)| value.get()));
        }
        (Step::Every, b'{') => {
            let Members(members) = serde_json::from_str(value).ok()?;
            found.extend(members.into_iter().map(|(_, value)| value.get()));
        }
        (Step::Element(place), b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(value).ok()?;
            found.extend(elements.get(*place).map(|value| value.get()));
        }
        (Step::Every, b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(value).ok()?;
            found.extend(elements.into_iter().map(RawValue::get));
        }
        _ => {}
    }
    Some(())
}

/// All members of an object. A name that is there twice must not hide one of its values.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(All)
    }
}
