//! Adds to spans what the operator wrote down for all of them, and what their messages say: properties, fields of
//! JSON bodies, and baggage, of which each tenant shows only what it is allowed to.
//!
//! It runs beside the data path, and bodies stay with the host until one is read.

mod baggage;
mod field;
mod fixed;
mod w3c;

use std::collections::BTreeMap;

use blockhouse_plugin::{EnrichSpan, Message, Node, Plugin, Spans, Wants};

use crate::baggage::Tenants;
use crate::field::Field;
use crate::fixed::Fixed;

/// Bytes of a body that is read; larger ones are passed over.
const BODY_MAX: u32 = 256 << 10;
/// Bytes of a value, as the host takes them.
const VALUE_MAX: usize = 1_024;

/// The binding's configuration.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Attributes of every span, also of those that are about no message, such as a name server's.
    attributes: Fixed,
    /// Attributes, each with the property that it takes its value from.
    properties: BTreeMap<String, String>,
    /// Attributes, each with the field of a JSON body that it takes its value from.
    fields: BTreeMap<String, Field>,
    baggage: Option<Tenants>,
}

/// The plugin.
pub struct Tracing(Config);

impl Plugin for Tracing {
    type Config = Config;

    fn init(_node: &Node, config: Config) -> Result<Self, String> {
        for name in config.properties.keys().chain(config.fields.keys()) {
            if name.is_empty() {
                return Err("an attribute has no name".to_owned());
            }
            if config.attributes.contains(name) {
                return Err(format!("attribute {name:?}: it is in `attributes` already"));
            }
        }
        Ok(Self(config))
    }

    fn wants(&self) -> Wants {
        Wants { enrich_span_bodies: !self.0.fields.is_empty(), ..Wants::default() }
    }
}

impl Config {
    /// What is added for one message, in this order, after what every span gets: the host takes the first 16.
    fn of_message(&self, message: &Message<'_>) -> Vec<(String, String)> {
        let property = |(name, key): (&String, &String)| {
            message.property(key).map(|value| (name.clone(), value.to_owned()))
        };
        let mut found: Vec<_> = self.properties.iter().filter_map(property).collect();
        if !self.fields.is_empty() && (1..=BODY_MAX).contains(&message.body_size()) {
            // A body that is no JSON has no fields.
            if let Ok(body) = serde_json::from_slice(&message.body()) {
                let field =
                    |(name, field): (&String, &Field)| Some((name.clone(), field.text(&body)?));
                found.extend(self.fields.iter().filter_map(field));
            }
        }
        if let Some(tenants) = &self.baggage {
            found.extend(tenants.shown(|key| message.property(key)));
        }
        found
    }
}

/// A value as a span takes it: printable, and not too long.
fn clean(value: &str) -> String {
    let mut text: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.truncate(text.floor_char_boundary(VALUE_MAX));
    text
}

impl EnrichSpan for Tracing {
    fn enrich_span(&mut self, spans: &mut Spans<'_>) {
        let messages: Vec<_> = spans.iter().map(|(index, _, message)| (index, message)).collect();
        for (index, message) in messages {
            for (name, value) in self.0.attributes.iter() {
                spans.add(index, name, value);
            }
            for (name, value) in self.0.of_message(&message) {
                spans.add(index, name, clean(&value));
            }
        }
    }
}

blockhouse_plugin::export!(Tracing: enrich_span);

#[cfg(test)]
mod tests;
