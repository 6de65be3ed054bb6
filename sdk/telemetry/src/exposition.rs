//! Metrics as they leave: bytes in a format.

use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use crate::accept::Format;
use crate::requests::Requests;
use crate::{Error, openmetrics, protobuf};

/// Metrics at one moment, in a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposition {
    /// The format, as `Content-Type` has it.
    pub content_type: &'static str,
    /// All of them.
    pub body: Vec<u8>,
}

impl Exposition {
    /// Families in a format, with what `requests` says of the times of requests.
    pub(crate) fn of(
        format: Format,
        families: &[MetricFamily],
        requests: impl FnOnce() -> Requests,
    ) -> Result<Self, Error> {
        let (content_type, body) = match format {
            Format::Text => return Self::text(families),
            Format::OpenMetrics => {
                (openmetrics::CONTENT_TYPE, openmetrics::encode(families, &requests()).into_bytes())
            }
            Format::Protobuf => (protobuf::CONTENT_TYPE, protobuf::encode(families, &requests())),
        };
        Ok(Self { content_type, body })
    }

    /// Prometheus' text format, which everybody understands.
    pub(crate) fn text(families: &[MetricFamily]) -> Result<Self, Error> {
        let text = TextEncoder::new().encode_to_string(families).map_err(Error::Encode)?;
        Ok(Self {
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: text.into_bytes(),
        })
    }

    #[cfg(test)]
    pub(crate) fn into_text(self) -> String {
        String::from_utf8(self.body).unwrap()
    }
}
