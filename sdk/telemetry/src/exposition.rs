//! Metrics as they leave: bytes in a format.

use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use crate::Error;

/// Metrics at one moment, in a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposition {
    /// The format, as `Content-Type` has it.
    pub content_type: &'static str,
    /// All of them.
    pub body: Vec<u8>,
}

impl Exposition {
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
