//! Enrich span: spans that have ended, and what the plugin adds to them.

use std::sync::atomic::Ordering;

use blockhouse_hook::SpanRecord;

use super::{ANSWER_SLACK, CALL_BYTES, PluginHook, convert, exported};
use crate::Failure;
use crate::contract::exported::enrich_span::{self as wit, Addition};
use crate::guest::Guest;
use crate::interface::Interface;
use crate::said::Said;

impl PluginHook {
    /// Has the plugin add to the spans that are in its scope. A failure adds nothing.
    pub(super) fn enrich(&self, spans: &mut [SpanRecord]) {
        let wants = self.plugin.wants();
        let is_ours = |span: &SpanRecord| self.plugin.scope.covers_principal(&span.principal);
        let mut rest = spans;
        while let Some(first) = rest.first() {
            let len = if is_ours(first) { run(rest, wants.batch_max, is_ours) } else { 1 };
            let skip = !is_ours(first);
            let (now, later) = rest.split_at_mut(len);
            rest = later;
            if skip {
                continue;
            }
            let asked = self.plugin.call(Interface::EnrichSpan, now.len(), |guest, _| {
                let additions = ask(guest, wants.enrich_span, now)?;
                check(&additions, now)?;
                Ok(additions)
            });
            // A failure has been counted.
            let Ok(additions) = asked else { continue };
            self.plugin.said(Interface::EnrichSpan, Said::Enrich, additions.len());
            if !self.plugin.is_shadow() {
                let dropped = add(additions, now);
                let counts = self.plugin.counts(Interface::EnrichSpan);
                counts.lost.fetch_add(dropped, Ordering::Relaxed);
            }
        }
    }
}

fn given(span: &SpanRecord) -> usize {
    let attributes = span.attributes().iter().map(|a| a.name.len() + a.value.len());
    span.name.len() + span.properties.len() + attributes.sum::<usize>()
}

/// How many spans from the first on go into one call.
fn run(spans: &[SpanRecord], batch_max: usize, is_ours: impl Fn(&SpanRecord) -> bool) -> usize {
    let mut bytes = 0;
    let more = spans.iter().take(batch_max).take_while(|span| {
        bytes += given(span) + span.body.len();
        is_ours(span) && bytes <= CALL_BYTES
    });
    more.count().max(1)
}

fn ask(guest: &mut Guest, lends: bool, spans: &[SpanRecord]) -> Result<Vec<Addition>, Failure> {
    let exports = exported(guest.exports.enrich_span.as_ref())?;
    let lent = if lends { guest.lend(spans.iter().map(|span| &*span.body)) } else { None };
    let attributes: Vec<Vec<wit::AttributeParam<'_>>> = spans.iter().map(attributes).collect();
    let told: Vec<wit::Span<'_>> = spans
        .iter()
        .zip(&attributes)
        .map(|(span, attributes)| wit_span(span, attributes))
        .collect();
    let answer = exports.call_enrich_span(&mut guest.store, &told, lent);
    if lends {
        guest.store.data_mut().lent.clear();
    }
    answer.map_err(|e| Failure::of(&e))
}

fn attributes(span: &SpanRecord) -> Vec<wit::AttributeParam<'_>> {
    let all = span.attributes().iter();
    all.map(|a| wit::AttributeParam { name: &a.name, value: &a.value }).collect()
}

fn wit_span<'a>(span: &'a SpanRecord, attributes: &'a [wit::AttributeParam<'a>]) -> wit::Span<'a> {
    wit::Span {
        name: &span.name,
        id: convert::trace_parent(span.id),
        parent_span_id: span.parent_span_id,
        start_ns: span.start_ns,
        duration_ns: span.duration_ns,
        failed: span.failed,
        principal: convert::principal(&span.principal),
        peer: convert::address(span.peer),
        attributes,
        properties: span.properties.as_bytes(),
        body_size: u32::try_from(span.body.len()).unwrap_or(u32::MAX),
    }
}

/// Whether the guest may say that. What is too much for one span is dropped, not refused.
fn check(additions: &[Addition], spans: &[SpanRecord]) -> Result<(), Failure> {
    let indices: Vec<u32> = additions.iter().map(|addition| addition.span).collect();
    convert::check_indices(&indices, spans.len())?;
    let texts = additions.iter().flat_map(|addition| &addition.attributes);
    let answered: usize = texts.map(|a| a.name.len() + a.value.len()).sum();
    let given: usize = spans.iter().map(|span| given(span) + span.body.len()).sum();
    if answered > 2 * given + ANSWER_SLACK {
        return Err(Failure::Answer(format!("{answered} bytes for {given}")));
    }
    Ok(())
}

/// Adds what is legal; gives how many attributes were not.
fn add(additions: Vec<Addition>, spans: &mut [SpanRecord]) -> u64 {
    let mut dropped = 0;
    for addition in additions {
        let Some(span) = spans.get_mut(addition.span as usize) else { continue };
        for attribute in addition.attributes {
            dropped += u64::from(!span.add(attribute.name, attribute.value));
        }
    }
    dropped
}

#[cfg(test)]
mod tests {
    use blockhouse_hook::Attribute;
    use blockhouse_model::TraceParent;

    use super::*;

    fn span() -> SpanRecord {
        let id = TraceParent { trace_id: 1, span_id: 2, sampled: true };
        let own = vec![Attribute { name: "topic".to_owned(), value: "orders".to_owned() }];
        SpanRecord::new("send orders".to_owned(), id, ([127, 0, 0, 1], 1).into(), own)
    }

    fn addition(span: u32, names: impl IntoIterator<Item = String>) -> Addition {
        let attribute = |name| wit::AttributeResult { name, value: "v".to_owned() };
        Addition { span, attributes: names.into_iter().map(attribute).collect() }
    }

    #[test]
    fn what_is_not_legal_is_a_failure() {
        let spans = [span(), span()];
        let name = || ["a".to_owned()];
        assert_eq!(check(&[addition(1, name()), addition(0, name())], &spans), Ok(()));
        assert!(check(&[addition(2, name())], &spans).is_err());
        assert!(check(&[addition(0, name()), addition(0, name())], &spans).is_err());
        assert!(check(&[addition(0, ["x".repeat(2 * ANSWER_SLACK)])], &spans).is_err());
    }

    #[test]
    fn what_is_too_much_is_dropped_and_counted() {
        let mut spans = [span()];
        let names = ["topic".to_owned()].into_iter().chain((0..20).map(|n| format!("n{n}")));
        assert_eq!(add(vec![addition(0, names)], &mut spans), 1 + 4);
        assert_eq!((spans[0].attributes().len(), spans[0].dropped()), (17, 5));
        assert_eq!(spans[0].attributes()[0].value, "orders");
    }

    #[test]
    fn a_call_has_not_too_many_bytes() {
        let mut large = span();
        large.body = vec![0; CALL_BYTES].into();
        assert_eq!(run(&[large, span()], 32, |_| true), 1, "a larger one goes alone");
        assert_eq!(run(&[span(), span(), span()], 2, |_| true), 2);
    }
}
