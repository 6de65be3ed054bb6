//! Messages as `consume --json` and `plugin test --record` print them, read again.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context as _;
use serde::Deserialize;

/// One line; what else is in it does not matter to who reads it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Printed {
    pub(crate) topic: String,
    #[serde(default)]
    properties: BTreeMap<String, String>,
    body: Option<String>,
    body_hex: Option<String>,
    pub(crate) born_host: Option<SocketAddr>,
    pub(crate) born_timestamp: Option<i64>,
    /// Who sent it, if somebody who knows has put it in: messages do not say it.
    pub(crate) principal: Option<String>,
}

impl Printed {
    /// The properties as they are stored.
    pub(crate) fn properties(&self) -> String {
        let pairs = self.properties.iter();
        pairs.map(|(name, value)| format!("{name}\u{1}{value}\u{2}")).collect()
    }

    /// The body's bytes.
    pub(crate) fn body(&self) -> anyhow::Result<Vec<u8>> {
        match (&self.body, &self.body_hex) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(hex)) => unhex(hex).context("bodyHex is no hexadecimal text"),
            _ => anyhow::bail!("a message has either `body` or `bodyHex`"),
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
