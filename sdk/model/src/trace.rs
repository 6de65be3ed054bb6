//! Which span a request belongs to: the W3C header `traceparent`.
//!
//! Clients that are instrumented with OpenTelemetry carry it in the message property of that name;
//! a request may carry it as a field of its own.

mod older;

use std::cell::Cell;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;

use crate::properties;

/// The name of the field and of the message property.
pub const TRACE_PARENT: &str = "traceparent";
/// The message property with the same that RocketMQ's proxy makes of what a gRPC client says.
pub const TRACE_CONTEXT: &str = "TRACE_CONTEXT";

/// Bytes of version 00; later versions may be longer, never shorter.
const LEN: usize = 55;
/// Bytes of a text that is looked at.
const LEN_MAX: usize = 256;

/// The span of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span that called; never 0.
    pub span_id: u64,
    /// Whether the caller records the trace.
    pub sampled: bool,
}

impl TraceParent {
    /// The span that `text` names; `None` if it is not as W3C Trace Context has it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() || !(LEN..=LEN_MAX).contains(&text.len()) {
            return None;
        }
        let (known, rest) = text.split_at_checked(LEN)?;
        let mut parts = known.split('-');
        let version = number(parts.next()?, 2)?;
        let trace_id = number(parts.next()?, 32)?;
        let span_id = u64::try_from(number(parts.next()?, 16)?).ok()?;
        let flags = number(parts.next()?, 2)?;
        // What later versions add begins with a dash; the first version adds nothing.
        let ends = rest.is_empty() || (version != 0 && rest.starts_with('-'));
        let is_legal = parts.next().is_none() && version != 0xff && trace_id != 0 && span_id != 0;
        (is_legal && ends).then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    /// Whether `text` says that its caller records nothing, as most do: that much is seen at its end.
    #[must_use]
    pub fn is_unsampled(text: &str) -> bool {
        text.len() == LEN && text.ends_with("-00")
    }

    /// The span that a message's property text names.
    #[must_use]
    pub fn of_properties(text: &str) -> Option<Self> {
        // Most messages have none, and this finds that out much sooner than a walk over all pairs.
        let named =
            |name: &str| text.contains(name).then(|| properties::find(text, name)).flatten();
        let first = named(TRACE_PARENT).and_then(Self::parse);
        first.or_else(|| named(TRACE_CONTEXT).and_then(Self::parse))
    }

    /// The span that a message's property text names as tracers did before there was `traceparent`: in `b3`,
    /// `X-B3-TraceId` and its sisters, or `uber-trace-id`. The first that is there counts; `Some(None)` if that
    /// is none.
    #[must_use]
    pub fn of_older_properties(text: &str) -> Option<Option<Self>> {
        older::of_properties(text)
    }
}

/// A number of so many hexadecimal digits, lower case as the standard wants them.
fn number(digits: &str, len: usize) -> Option<u128> {
    let legal = digits.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    if digits.len() != len || !legal {
        return None;
    }
    u128::from_str_radix(digits, 16).ok()
}

thread_local! {
    static CURRENT: Cell<u128> = const { Cell::new(0) };
}

/// The trace that this thread works for now, which log lines name; 0 for none.
#[must_use]
pub fn current() -> u128 {
    CURRENT.get()
}

/// While it lives, its thread works for a trace.
#[derive(Debug)]
pub struct Entered {
    before: u128,
    /// It ends where it began.
    _on_this_thread: PhantomData<*const ()>,
}

/// Has this thread work for a trace, until what is returned goes; 0 for none.
#[must_use]
pub fn enter(trace_id: u128) -> Entered {
    Entered { before: CURRENT.replace(trace_id), _on_this_thread: PhantomData }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// Has whoever polls `future` work for a trace meanwhile.
pub async fn within<F: Future>(trace_id: u128, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _entered = enter(trace_id);
        future.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_works_for_one_trace_at_a_time() {
        let outer = enter(1);
        let inner = enter(2);
        assert_eq!(current(), 2);
        drop(inner);
        assert_eq!(current(), 1);
        let mut seen = pin!(within(3, async { current() }));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert_eq!(seen.as_mut().poll(&mut cx), std::task::Poll::Ready(3));
        assert_eq!(current(), 1);
        drop(outer);
        assert_eq!(current(), 0);
    }

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_header_is_read() {
        let parent = TraceParent::parse(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!(parent.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!((parent.span_id, parent.sampled), (0xb7ad_6b71_6920_3331, true));
        assert!(!TraceParent::parse(&format!("00-{TRACE}-{SPAN}-02")).unwrap().sampled);
        assert!(TraceParent::is_unsampled(&format!("00-{TRACE}-{SPAN}-00")));
        assert!(!TraceParent::is_unsampled(&format!("00-{TRACE}-{SPAN}-01")));
        let later = format!("01-{TRACE}-{SPAN}-01-what-comes");
        assert!(TraceParent::parse(&later).unwrap().sampled, "a later version may say more");
        let text = format!("A\u{1}1\u{2}traceparent\u{1}00-{TRACE}-{SPAN}-01\u{2}");
        assert_eq!(TraceParent::of_properties(&text), Some(parent));
        let proxied = |first: &str| {
            let text =
                format!("traceparent\u{1}{first}\u{2}TRACE_CONTEXT\u{1}00-{TRACE}-{SPAN}-01\u{2}");
            TraceParent::of_properties(&text)
        };
        assert_eq!(proxied("x"), Some(parent));
        assert_eq!(
            proxied("00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").map(|p| p.sampled),
            Some(false)
        );
    }

    #[test]
    fn what_is_not_one_is_none() {
        let (zeros, upper) = ("0".repeat(32), TRACE.to_uppercase());
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01x"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("01-{TRACE}-{SPAN}-01x"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{upper}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-0é"),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("+0-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01{}", "-x".repeat(200)),
            "é".repeat(55),
        ] {
            assert_eq!(TraceParent::parse(&text), None, "{text}");
        }
    }
}
