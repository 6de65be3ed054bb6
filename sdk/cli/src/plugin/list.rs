//! The plugins of a running node, as it tells over its ops listener.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::Table;
use crate::wrong_use;

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse plugin list
  blockhouse plugin list --ops 10.0.0.5:5557 --json

The address is that of the node's option ops.listen. There is one row for each hook of each plugin;
`objections` are answers other than \"go on\", which have no effect in shadow mode.";

/// Largest answer.
const ANSWER_MAX: u64 = 16 << 20;

/// Which node to ask.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The node's ops listener: HOST:PORT, or http://HOST:PORT
    #[arg(long, value_name = "URL", default_value = "127.0.0.1:5557")]
    ops: String,
    /// How long to wait for a connection and for an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
}

#[derive(Debug, Deserialize)]
struct Answer {
    plugins: Vec<Plugin>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plugin {
    name: String,
    digest: String,
    loaded: bool,
    mode: String,
    breaker_open: bool,
    instances: u64,
    hooks: Vec<Hook>,
    #[serde(default)]
    grants: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Hook {
    hook: String,
    calls: u64,
    messages: u64,
    nanoseconds: u64,
    objections: u64,
    failures: std::collections::BTreeMap<String, u64>,
}

/// Asks and tells.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let authority = authority(&args.ops)?;
    let timeout = Duration::from_millis(args.timeout_ms);
    let body = get(authority, "/v1/plugins", timeout).with_context(|| {
        format!(
            "cannot ask {authority} for its plugins; is a node running, and is that its ops.listen?"
        )
    })?;
    let json: Value = serde_json::from_slice(&body)
        .with_context(|| format!("{authority} does not answer as a Blockhouse node"))?;
    let answer = Answer::deserialize(&json)
        .with_context(|| format!("{authority} does not answer as a Blockhouse node"))?;
    super::print(as_json, &text(&answer), &json)
}

fn text(answer: &Answer) -> String {
    if answer.plugins.is_empty() {
        return "no plugins\n".to_owned();
    }
    let mut table = Table::new(&[
        "plugin",
        "digest",
        "state",
        "mode",
        "instances",
        "hook",
        "calls",
        "messages",
        "ns/message",
        "objections",
        "failures",
    ]);
    for plugin in &answer.plugins {
        let state = match (plugin.loaded, plugin.breaker_open) {
            (false, _) => "not loaded",
            (true, true) => "left alone",
            (true, false) => "runs",
        };
        // Enough to tell digests apart; --json has all of it.
        let digest: String = plugin.digest.chars().take("sha256:".len() + 12).collect();
        for hook in &plugin.hooks {
            let each = hook.nanoseconds.checked_div(hook.messages).unwrap_or(0);
            let counts = [hook.calls, hook.messages, each, hook.objections];
            let failures: u64 = hook.failures.values().sum();
            let head = [&plugin.name, &digest, state, &plugin.mode].map(str::to_owned);
            let middle = [plugin.instances.to_string(), hook.hook.clone()];
            let tail = counts.into_iter().chain([failures]).map(|count| count.to_string());
            table.row(head.into_iter().chain(middle).chain(tail));
        }
    }
    let mut text = table.to_string();
    let grants = answer.plugins.iter().map(|plugin| (&*plugin.name, &*plugin.grants));
    text += &granted(grants);
    text
}

/// What plugins are granted, as a table below another one; empty where there is nothing.
pub(super) fn granted<'a>(plugins: impl Iterator<Item = (&'a str, &'a [String])>) -> String {
    let mut table = Table::new(&["plugin", "is granted"]);
    let mut is_empty = true;
    for (name, grants) in plugins.filter(|(_, grants)| !grants.is_empty()) {
        table.row([name.to_owned(), grants.join(", ")]);
        is_empty = false;
    }
    if is_empty { String::new() } else { format!("\n{table}") }
}

/// The host and port of what was given.
fn authority(url: &str) -> anyhow::Result<&str> {
    let rest = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let is_plain = rest.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok() && !host.contains(['/', ' ', '\r', '\n'])
    });
    if is_plain {
        return Ok(rest);
    }
    Err(wrong_use(format!("--ops {url}: write HOST:PORT or http://HOST:PORT")))
}

/// The body of what is at `path`. HTTP/1.0, so that it ends where the connection does.
fn get(authority: &str, path: &str, timeout: Duration) -> anyhow::Result<Vec<u8>> {
    let mut stream = connect(authority, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: {authority}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX + 1).read_to_end(&mut answer)?;
    anyhow::ensure!(answer.len() as u64 <= ANSWER_MAX, "its answer is over {ANSWER_MAX} bytes");
    body(&answer)
}

fn connect(authority: &str, timeout: Duration) -> anyhow::Result<TcpStream> {
    let mut failed = None;
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(e) => failed = Some(e),
        }
    }
    Err(failed.map_or_else(|| anyhow::anyhow!("the name has no address"), Into::into))
}

/// What follows the head of an answer that says 200.
fn body(answer: &[u8]) -> anyhow::Result<Vec<u8>> {
    let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        bail!("that is no HTTP");
    };
    let (head, body) = answer.split_at(at + 4);
    let head = String::from_utf8_lossy(head);
    let mut words = head.split_whitespace();
    match (words.next(), words.next()) {
        (Some(version), _) if !version.starts_with("HTTP/") => bail!("that is no HTTP"),
        (_, Some("200")) => Ok(body.to_vec()),
        (_, Some(status)) => bail!("it answers {status}"),
        _ => bail!("that is no HTTP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for url in ["127.0.0.1:5557", "http://127.0.0.1:5557", "http://127.0.0.1:5557/"] {
            assert_eq!(authority(url).unwrap(), "127.0.0.1:5557");
        }
        assert_eq!(authority("[::1]:80").unwrap(), "[::1]:80");
        for url in ["", "5557", "https://a:1", "a:b", "a:1/b", ":1", "a\r\nb:1", "a:99999"] {
            assert!(authority(url).is_err(), "{url}");
        }
    }

    #[test]
    fn bodies_are_taken_of_good_answers_only() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\na: b\r\n\r\nhello").unwrap(), b"hello");
        let refusal = |answer: &[u8]| body(answer).unwrap_err().to_string();
        assert_eq!(refusal(b"HTTP/1.1 404 Not Found\r\n\r\n"), "it answers 404");
        assert_eq!(refusal(b"SSH-2.0-x"), "that is no HTTP");
        assert_eq!(refusal(b"SSH 200\r\n\r\n"), "that is no HTTP");
        assert_eq!(refusal(b""), "that is no HTTP");
    }
}
