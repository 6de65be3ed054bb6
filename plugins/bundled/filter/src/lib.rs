//! Leaves messages out by header or JSON field, and masks JSON fields of those that are delivered.
//!
//! A masked body is the stored one but for the masked values: nothing is parsed and written anew,
//! so that numbers, order and spelling stay. Which topics, groups and principals it looks at is the
//! binding's scope, which the host evaluates.

mod json;
mod rule;

use std::collections::BTreeMap;
use std::ops::Range;

use blockhouse_plugin::{
    BeforeDeliver, BodyMode, Context, Deliveries, Delivery, Message, Node, Outbound, Plugin, Wants,
};

use crate::json::Path;
use crate::rule::Rule;

/// The binding's configuration.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Messages that match one of these are left out.
    hide: Vec<Rule>,
    /// If there are any, messages that match none of these are left out.
    only: Vec<Rule>,
    /// What is masked.
    mask: Vec<Mask>,
    /// Delivers bodies that are no JSON although something is to be masked in them.
    deliver_unreadable: bool,
}

/// A field whose values are masked.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Mask {
    path: Path,
    /// How many characters at the end of a text stay.
    #[serde(default)]
    keep_last: usize,
}

/// The plugin.
pub struct Filter(Config);

impl Plugin for Filter {
    type Config = Config;

    fn init(_node: &Node, config: Config) -> Result<Self, String> {
        for rule in config.hide.iter().chain(&config.only) {
            rule.check()?;
        }
        Ok(Self(config))
    }

    fn wants(&self) -> Wants {
        let rules = self.0.hide.iter().chain(&self.0.only);
        let reads = !self.0.mask.is_empty() || rules.into_iter().any(Rule::reads_body);
        let bodies = if reads { BodyMode::Flat } else { BodyMode::None };
        Wants { before_deliver_bodies: bodies, ..Wants::default() }
    }
}

impl BeforeDeliver for Filter {
    fn before_deliver(
        &mut self,
        _cx: &Context,
        _delivery: &Delivery,
        messages: &Outbound<'_>,
        deliveries: &mut Deliveries,
    ) {
        for message in messages.iter() {
            let body = message.body();
            if !self.0.delivers(&message, &body) {
                deliveries.hide(message.index());
                continue;
            }
            match self.0.masked(&body) {
                Masked::Nothing => {}
                Masked::Body(masked) => deliveries.set_body(message.index(), masked),
                Masked::Unreadable if self.0.deliver_unreadable => {}
                Masked::Unreadable => deliveries.hide(message.index()),
            }
        }
    }
}

/// What masking makes of a body.
enum Masked {
    /// There is nothing to mask in it.
    Nothing,
    /// The body with its values masked.
    Body(Vec<u8>),
    /// It is no JSON, so that nobody knows what is in it.
    Unreadable,
}

impl Config {
    fn delivers(&self, message: &Message<'_>, body: &[u8]) -> bool {
        let matches = |rule: &Rule| rule.matches(message, body);
        !self.hide.iter().any(matches) && (self.only.is_empty() || self.only.iter().any(matches))
    }

    fn masked(&self, body: &[u8]) -> Masked {
        if self.mask.is_empty() {
            return Masked::Nothing;
        }
        let Some(text) = json::document(body) else { return Masked::Unreadable };
        // By place, so that masks of one value, or of one within another, meet: the outer one wins.
        let mut masks: BTreeMap<usize, (Range<usize>, String)> = BTreeMap::new();
        for Mask { path, keep_last } in &self.mask {
            let Some(found) = path.find(text) else { return Masked::Unreadable };
            for value in found {
                let put = (value.clone(), stars(text.get(value.clone()).unwrap_or(""), *keep_last));
                masks.insert(value.start, put);
            }
        }
        if masks.is_empty() {
            return Masked::Nothing;
        }
        let (mut out, mut from) = (Vec::with_capacity(body.len()), 0);
        for (start, (value, masked)) in masks {
            if start < from {
                continue;
            }
            out.extend_from_slice(body.get(from..start).unwrap_or_default());
            out.extend_from_slice(masked.as_bytes());
            from = value.end;
        }
        out.extend_from_slice(body.get(from..).unwrap_or_default());
        Masked::Body(out)
    }
}

/// A value as asterisks, a JSON text. How long it was is not to be seen.
fn stars(value: &str, keep_last: usize) -> String {
    let text = serde_json::from_str::<String>(value).unwrap_or_default();
    let count = text.chars().count();
    // Never more than a half stays: the whole of a short value would tell all.
    let kept = text.chars().skip(count - keep_last.min(count / 2));
    let masked: String = "***".chars().chain(kept).collect();
    serde_json::Value::String(masked).to_string()
}

blockhouse_plugin::export!(Filter: before_deliver);

#[cfg(test)]
mod tests;
