//! Sends a message and a request for each message that was stored, as its configuration says, and
//! tells what became of them in further messages. For tests of what waits for others.

use std::collections::BTreeMap;

use blockhouse_plugin::{AfterAppend, Appended, Context, Node, Plugin, http, publish};

/// The binding's configuration. What is absent is not done.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where a message goes for each that was stored.
    topic: Option<String>,
    /// The properties of that message.
    properties: BTreeMap<String, String>,
    /// Bytes of that message; 0 for a few words.
    body_size: usize,
    /// What is asked of another system for each message that was stored.
    request: Option<Request>,
    /// Where a message goes that tells what became of it.
    report: Option<String>,
}

/// A request.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Request {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    /// Bytes of the body; 0 for a few words.
    body_size: usize,
    timeout_ms: u32,
}

/// Sends.
pub struct Courier(Config);

impl Plugin for Courier {
    type Config = Config;

    fn init(_node: &Node, config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }
}

impl Courier {
    fn report(&self, outcome: &str) {
        if let Some(topic) = &self.0.report {
            // There is nobody to tell that this failed.
            let _untold = publish::send(topic, outcome.as_bytes(), &[]);
        }
    }

    fn publish(&self, topic: &str, place: &str) -> String {
        let properties = self.0.properties.iter().map(|(name, value)| (&**name, &**value));
        let properties: Vec<_> = properties.collect();
        match publish::send(topic, &body(self.0.body_size, place), &properties) {
            Ok(()) => "stored".to_owned(),
            Err(failure) => format!("{failure:?}"),
        }
    }

    fn ask(&self, request: &Request, place: &str) -> String {
        let header = |(name, value): (&String, &String)| http::Header {
            name: name.clone(),
            value: value.clone().into_bytes(),
        };
        let answer = http::send(&http::Request {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.iter().map(header).collect(),
            body: body(request.body_size, place),
            timeout_ms: request.timeout_ms,
        });
        match answer {
            Ok(answer) => {
                let words: String = String::from_utf8_lossy(&answer.body).chars().take(100).collect();
                format!("{} {} {words}", answer.status, answer.body.len())
            }
            Err(failure) => format!("{failure:?}"),
        }
    }
}

/// So many bytes, or `place`.
fn body(size: usize, place: &str) -> Vec<u8> {
    if size > 0 { vec![b'x'; size] } else { place.as_bytes().to_vec() }
}

impl AfterAppend for Courier {
    fn after_append(&mut self, _cx: &Context, messages: &Appended<'_>) {
        for message in messages.iter() {
            let (queue, offset) = (message.queue, message.queue_offset);
            let place = format!("{}/{queue}/{offset}", messages.topic());
            if let Some(topic) = &self.0.topic {
                self.report(&self.publish(topic, &place));
            }
            if let Some(request) = &self.0.request {
                self.report(&self.ask(request, &place));
            }
        }
    }
}

blockhouse_plugin::export!(Courier: after_append);

#[cfg(test)]
mod tests {
    use blockhouse_plugin::publish::Failure;
    use blockhouse_plugin::test::Host;

    use super::*;

    #[test]
    fn what_failed_is_told_in_words() {
        let host = Host::new();
        let courier = Courier(Config::default());
        assert_eq!(courier.publish("t", "place"), "stored");
        assert_eq!(host.published()[0].body, b"place");
        host.fail_publish(Some(Failure::NotGranted));
        assert_eq!(courier.publish("t", "place"), "Failure::NotGranted");
        host.answer_http(Ok(http::Response { status: 204, headers: vec![], body: vec![] }));
        assert_eq!(courier.ask(&Request::default(), ""), "204 0 ");
        assert_eq!(courier.ask(&Request::default(), ""), "Failure::NotGranted");
    }
}
