//! A field of a JSON body.

use serde_json::Value;

/// A path to one field: `$.customer.country`, `$.items[0].id`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Field(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
}

impl TryFrom<String> for Field {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text}: write fields as $.name or $.list[0].name");
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
        let (name, rest) = name.split_at_checked(name.find(['.', '[']).unwrap_or(name.len()))?;
        return (!name.is_empty()).then(|| (Step::Member(name.to_owned()), rest));
    }
    let (place, rest) = text.strip_prefix('[')?.split_once(']')?;
    Some((Step::Element(place.parse().ok()?), rest))
}

impl Field {
    /// Its value as text; `None` if it is not there, or is no text, number or truth value.
    pub(crate) fn text(&self, body: &Value) -> Option<String> {
        let found = self.0.iter().try_fold(body, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Element(place) => value.get(place),
        })?;
        match found {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    }
}
