//! Events on their way to a collector, beside the lines on stderr.

use std::fmt::{self, Write as _};

use blockhouse_model::{Clock as _, trace};
use blockhouse_telemetry::logs::{LogEvent, LogQueue};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::SystemClock;

/// The field that becomes the record's trace.
const TRACE_ID: &str = "trace_id";

/// Puts what is logged into a queue. It never waits.
pub(super) struct Exported {
    queue: LogQueue,
    clock: SystemClock,
}

impl Exported {
    pub(super) fn to(queue: LogQueue) -> Self {
        Self { queue, clock: SystemClock::new() }
    }
}

impl<S: Subscriber> Layer<S> for Exported {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if !LogQueue::takes(metadata.target()) {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let trace_id = trace::current();
        if trace_id != 0 && !said.fields.iter().any(|(name, _)| *name == TRACE_ID) {
            said.fields.push((TRACE_ID, format!("{trace_id:032x}")));
        }
        self.queue.push(LogEvent {
            at_ms: self.clock.now().0,
            level: *metadata.level(),
            target: metadata.target(),
            text: LogEvent::cut(said.text),
            fields: said.fields,
        });
    }
}

/// The sentence, and what it names.
#[derive(Default)]
struct Said {
    text: String,
    fields: Vec<(&'static str, String)>,
}

impl Said {
    fn take(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.text = value;
        } else {
            self.fields.push((field.name(), LogEvent::cut(value)));
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // A value that cannot be written is as good as none.
        let _written = write!(text, "{value:?}");
        self.take(field, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn an_event_is_its_sentence_and_its_fields() {
        let (queue, events) = LogQueue::new(8);
        let subscriber = tracing_subscriber::registry().with(Exported::to(queue));
        tracing::subscriber::with_default(subscriber, || {
            let topic = "a\nb";
            tracing::warn!(topic, %topic, count = 3, "refused {topic}");
            tracing::info!(target: "h2::codec", "frame");
        });
        let all: Vec<LogEvent> = events.try_iter().collect();
        let [event] = &all[..] else { unreachable!("{all:?}") };
        assert_eq!((event.level, &*event.text), (tracing::Level::WARN, "refused a\nb"));
        let fields = [("topic", "a\nb"), ("topic", "a\nb"), ("count", "3")];
        assert_eq!(event.fields, fields.map(|(name, value)| (name, value.to_owned())));
        assert!(event.target.starts_with("blockhouse_service") && event.at_ms > 0);
    }

    #[test]
    fn an_event_names_the_trace_that_its_thread_works_for() {
        let (queue, events) = LogQueue::new(8);
        let subscriber = tracing_subscriber::registry().with(Exported::to(queue));
        tracing::subscriber::with_default(subscriber, || {
            let _entered = trace::enter(0xab);
            tracing::warn!("refused");
            tracing::warn!(trace_id = "its own", "refused");
        });
        let fields: Vec<_> = events.try_iter().map(|event| event.fields).collect();
        let trace = |id: &str| vec![(TRACE_ID, id.to_owned())];
        assert_eq!(fields, [trace(&format!("{:032x}", 0xab)), trace("its own")]);
    }
}
