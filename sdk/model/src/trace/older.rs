//! Spans as tracers wrote them before W3C Trace Context: B3, in one header and in several, and Jaeger's.

use super::{TraceParent, number};
use crate::properties::find;

/// Bytes of a text that is looked at.
const LEN_MAX: usize = 128;

/// The span that a property text names in one of the older ways; `Some(None)` if it names one that is none.
pub(super) fn of_properties(text: &str) -> Option<Option<TraceParent>> {
    // As with `traceparent`: most have none of them.
    let seen = |name: &str| text.contains(name).then(|| find(text, name)).flatten();
    if let Some(b3) = seen("b3") {
        return Some(single(b3));
    }
    if let Some(trace) = seen("X-B3-TraceId") {
        let decision = match (find(text, "X-B3-Sampled"), find(text, "X-B3-Flags")) {
            (_, Some("1")) => Some("d"),
            (Some("true"), _) => Some("1"),
            (sampled, _) => sampled,
        };
        return Some(b3(trace, find(text, "X-B3-SpanId").unwrap_or_default(), decision));
    }
    seen("uber-trace-id").map(jaeger)
}

/// `trace-span`, then, if they are there, the decision and the parent.
fn single(text: &str) -> Option<TraceParent> {
    let mut parts = short(text)?.split('-');
    let (trace, span, decision) = (parts.next()?, parts.next()?, parts.next());
    let is_parent = |text: &str| text.len() == 16 && hex(text).is_some();
    let ends = parts.next().is_none_or(is_parent) && parts.next().is_none();
    if ends { b3(trace, span, decision) } else { None }
}

fn b3(trace: &str, span: &str, decision: Option<&str>) -> Option<TraceParent> {
    if !matches!(trace.len(), 16 | 32) {
        return None;
    }
    let sampled = match decision {
        Some("1" | "d") => true,
        // Left to whoever comes next: none of them records it by itself.
        Some("0" | "false") | None => false,
        Some(_) => return None,
    };
    let span_id = u64::try_from(number(span, 16)?).ok()?;
    legal(hex(trace)?, span_id, sampled)
}

/// `trace:span:parent:flags`, without the zeros that numbers may begin with.
fn jaeger(text: &str) -> Option<TraceParent> {
    let mut parts = short(text)?.split(':');
    let (trace, span) = (hex(parts.next()?)?, hex(parts.next()?)?);
    let (_parent, flags) = (hex(parts.next()?)?, hex(parts.next()?)?);
    if parts.next().is_some() {
        return None;
    }
    legal(trace, u64::try_from(span).ok()?, flags & 1 == 1)
}

fn short(text: &str) -> Option<&str> {
    (text.len() <= LEN_MAX).then_some(text)
}

fn legal(trace_id: u128, span_id: u64, sampled: bool) -> Option<TraceParent> {
    (trace_id != 0 && span_id != 0).then_some(TraceParent { trace_id, span_id, sampled })
}

/// A number of at most 32 digits.
fn hex(digits: &str) -> Option<u128> {
    if digits.is_empty() || digits.len() > 32 { None } else { number(digits, digits.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn read(pairs: &[(&str, &str)]) -> Option<Option<TraceParent>> {
        let mut text = String::from("KEYS\u{1}b3 k\u{2}");
        for (name, value) in pairs {
            crate::properties::push(&mut text, name, value);
        }
        of_properties(&text)
    }

    fn whole(sampled: bool) -> Option<Option<TraceParent>> {
        let (trace_id, span_id) =
            (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331);
        Some(Some(TraceParent { trace_id, span_id, sampled }))
    }

    #[test]
    fn each_form_is_read() {
        let b3 = |end: &str| read(&[("b3", &format!("{TRACE}-{SPAN}{end}"))]);
        for end in ["-1", "-d", "-1-05e3ac9a4f6e3b90"] {
            assert_eq!(b3(end), whole(true), "{end}");
        }
        assert_eq!((b3("-0"), b3("")), (whole(false), whole(false)));
        let many = |more: &[(&str, &str)]| {
            read(&[&[("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)], more].concat())
        };
        assert_eq!(many(&[("X-B3-Sampled", "1")]), whole(true));
        assert_eq!(many(&[("X-B3-Sampled", "true")]), whole(true));
        assert_eq!(many(&[("X-B3-Sampled", "0"), ("X-B3-Flags", "1")]), whole(true), "debug");
        assert_eq!((many(&[("X-B3-Sampled", "0")]), many(&[])), (whole(false), whole(false)));
        let jaeger = |flags: &str| {
            read(&[(
                "uber-trace-id",
                &format!("{}:{SPAN}:0:{flags}", TRACE.trim_start_matches('0')),
            )])
        };
        assert_eq!(
            [jaeger("1"), jaeger("3"), jaeger("0")],
            [whole(true), whole(true), whole(false)]
        );
        let short = read(&[("b3", "8448eb211c80319c-b7ad6b7169203331-1")]).flatten().unwrap();
        assert_eq!(short.trace_id, 0x8448_eb21_1c80_319c, "ids of 64 bits");
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn the_first_of_several_counts() {
        let b3 = ("b3", &*format!("{TRACE}-{SPAN}-0"));
        let jaeger = ("uber-trace-id", "1:2:0:1");
        assert_eq!(
            read(&[jaeger, ("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN), b3]),
            whole(false)
        );
    }

    #[test]
    fn what_is_none_is_said_to_be_none() {
        let zeros = "0".repeat(32);
        for text in [
            String::from("0"),
            String::from("é-é-1"),
            format!("{TRACE}-{SPAN}-2"),
            format!("{TRACE}-{SPAN}-1-x"),
            format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90-1"),
            format!("{TRACE}-0-1"),
            format!("{zeros}-{SPAN}-1"),
            format!("{TRACE}0-{SPAN}-1"),
            format!("{TRACE}-{SPAN}-1-{}", "é".repeat(200)),
        ] {
            assert_eq!(read(&[("b3", &text)]), Some(None), "{text}");
        }
        for text in
            ["1:2:0", "1:2:0:1:", "0:2:0:1", "1:0:0:1", ":::", "1:11112222333344445:0:1", "1:2:0:G"]
        {
            assert_eq!(read(&[("uber-trace-id", text)]), Some(None), "{text}");
        }
    }
}
