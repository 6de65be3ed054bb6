//! A running node, as its ops listener answers.

mod secure;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use blockhouse_authn::Credential;
use blockhouse_transport::tls::Connector;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::{IdentityArgs, TlsArgs};
use crate::wrong_use;

/// Largest answer.
const ANSWER_MAX: u64 = 256 << 20;
/// Where a node's ops listener is by default.
pub(crate) const DEFAULT: &str = "127.0.0.1:5557";
const HTTP: &str = "http://";
const HTTPS: &str = "https://";

/// Which node to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeArg {
    /// The node's ops listener: HOST:PORT, or http(s)://HOST:PORT
    #[arg(long, visible_alias = "node", value_name = "URL", default_value = DEFAULT)]
    ops: String,
    /// How long to wait for a connection and for an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
    #[command(flatten)]
    way: WayArgs,
}

/// How to get in.
#[derive(Debug, clap::Args)]
struct WayArgs {
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// How to get in.
#[derive(Clone, Default)]
struct Way {
    tls: Option<Arc<Connector>>,
    credential: Option<Arc<Credential>>,
}

impl WayArgs {
    /// What the address says of TLS stands; without a word there, the options for other servers hold.
    fn way(&self, url: &str) -> anyhow::Result<Way> {
        let tls = if url.starts_with(HTTP) {
            None
        } else if url.starts_with(HTTPS) {
            self.tls.required()?
        } else {
            self.tls.connector()?
        };
        Ok(Way { tls, credential: self.identity.credential()?.map(Arc::new) })
    }
}

/// Which nodes to change.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeArgs {
    /// A node's ops listener, HOST:PORT or http(s)://HOST:PORT; once for each node, brokers and name servers
    #[arg(long = "node", visible_alias = "ops", value_name = "URL", default_value = DEFAULT)]
    nodes: Vec<String>,
    /// How long to wait for a connection and for an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 120_000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
    #[command(flatten)]
    way: WayArgs,
}

impl WayArgs {
    fn of(tls: &TlsArgs, identity: &IdentityArgs) -> Self {
        Self { tls: tls.clone(), identity: identity.clone() }
    }
}

impl NodeArg {
    pub(crate) fn node(&self) -> anyhow::Result<Node> {
        Node::at(&self.ops, self.timeout_ms, self.way.way(&self.ops)?)
    }
}

impl NodeArgs {
    pub(crate) fn nodes(&self) -> anyhow::Result<Vec<Node>> {
        let nodes: Vec<Node> = self
            .nodes
            .iter()
            .map(|url| Node::at(url, self.timeout_ms, self.way.way(url)?))
            .collect::<Result<_, _>>()?;
        for (i, node) in nodes.iter().enumerate() {
            if nodes[..i].iter().any(|other| other.authority == node.authority) {
                return Err(wrong_use(format!("--node {} is there twice", node.authority)));
            }
        }
        Ok(nodes)
    }
}

/// What a node says of its plugins.
#[derive(Debug, Deserialize)]
pub(super) struct Plugins {
    #[serde(default)]
    pub(super) generation: u64,
    pub(super) plugins: Vec<Plugin>,
}

/// What a node says of one plugin.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plugin {
    pub(super) name: String,
    pub(super) digest: String,
    pub(super) version: Option<String>,
    pub(super) source: String,
    pub(super) disabled: bool,
    pub(super) watched: bool,
    pub(super) loaded: bool,
    pub(super) mode: String,
    pub(super) breaker_open: bool,
    /// Why it is not loaded.
    pub(super) problem: Option<String>,
    pub(super) instances: u64,
    #[serde(default)]
    pub(super) memory_bytes: u64,
    pub(super) binding: Value,
    pub(super) hooks: Vec<Hook>,
    #[serde(default)]
    pub(super) grants: Vec<String>,
    pub(super) history: Vec<Past>,
}

/// What a hook did.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Hook {
    pub(super) hook: String,
    pub(super) calls: u64,
    pub(super) messages: u64,
    pub(super) nanoseconds: u64,
    pub(super) objections: u64,
    #[serde(default)]
    pub(super) verdicts: std::collections::BTreeMap<String, u64>,
    pub(super) failures: std::collections::BTreeMap<String, u64>,
}

/// A version that is not in force.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Past {
    pub(super) digest: String,
    pub(super) version: Option<String>,
    pub(super) state: String,
    pub(super) reason: Option<String>,
}

impl Plugin {
    /// A word for how it does.
    pub(super) const fn state(&self) -> &'static str {
        match (self.disabled, self.loaded, self.breaker_open, self.watched) {
            (true, ..) => "disabled",
            (_, false, ..) => "not loaded",
            (_, _, true, _) => "left alone",
            (_, _, _, true) => "runs, watched",
            _ => "runs",
        }
    }
}

/// Enough of a digest to tell it from others; --json has all of it.
pub(crate) fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

/// A node's ops listener.
pub(crate) struct Node {
    pub(crate) authority: String,
    timeout: Duration,
    way: Way,
}

impl Node {
    fn at(url: &str, timeout_ms: u64, way: Way) -> anyhow::Result<Self> {
        let authority = authority(url)?.to_owned();
        Ok(Self { authority, timeout: Duration::from_millis(timeout_ms), way })
    }

    /// The node behind `url`, with how to get in as other servers are got into.
    pub(crate) fn reached(
        url: &str,
        timeout_ms: u64,
        tls: &TlsArgs,
        identity: &IdentityArgs,
    ) -> anyhow::Result<Self> {
        Self::at(url, timeout_ms, WayArgs::of(tls, identity).way(url)?)
    }

    /// An answer that is no JSON.
    pub(crate) fn text(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.exchange("GET", path, &[])?;
        Ok(String::from_utf8_lossy(self.body(&answer)?).into_owned())
    }

    /// The same for who asks for nothing else: where there is no answer, that is told with what to look at.
    pub(crate) fn page(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.exchange("GET", path, &[]).with_context(|| self.unasked())?;
        Ok(String::from_utf8_lossy(self.body(&answer)?).into_owned())
    }

    /// What it says of its plugins, as it is and as this program understands it.
    pub(super) fn plugins(&self) -> anyhow::Result<(Value, Plugins)> {
        self.plugins_at("/v1/plugins")
    }

    /// The same of one plugin, for who may look at no other. An older node tells of all.
    pub(super) fn plugin(&self, name: &str) -> anyhow::Result<(Value, Plugins)> {
        self.plugins_at(&about("/v1/plugins", name))
    }

    fn plugins_at(&self, path: &str) -> anyhow::Result<(Value, Plugins)> {
        let json: Value = self.get(path)?;
        let plugins = Plugins::deserialize(&json);
        Ok((json, plugins.with_context(|| self.stranger())?))
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask("GET", path, &[])
    }

    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.ask("POST", path, &serde_json::to_vec(body)?)
    }

    pub(super) fn put<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> anyhow::Result<T> {
        self.ask("PUT", path, body)
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<T> {
        let answer = self.exchange(method, path, body).with_context(|| self.unasked())?;
        let body = self.body(&answer)?;
        serde_json::from_slice(body).with_context(|| self.stranger())
    }

    /// That nothing came of asking it, and what to look at.
    fn unasked(&self) -> String {
        format!("cannot ask {}; is a node running, and is that its ops.listen?", self.authority)
    }

    fn stranger(&self) -> String {
        format!("{} does not answer as a Blockhouse node", self.authority)
    }

    /// A request and its answer. HTTP/1.0, so that it ends where the connection does.
    fn exchange(&self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
        let stream = self.connect()?;
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-length: {}\r\n",
            self.authority,
            body.len()
        );
        let basic = self.way.credential.as_ref().map(|credential| credential.basic());
        let (name, value, end): (&str, &[u8], &str) = match &basic {
            Some(basic) => ("authorization: ", basic.as_bytes(), "\r\n\r\n"),
            None => ("", b"", "\r\n"),
        };
        let pieces = [head.as_bytes(), name.as_bytes(), value, end.as_bytes(), body];
        let answer = if let Some(tls) = &self.way.tls {
            secure::exchange(tls, stream, &self.authority, (&pieces, self.timeout)).with_context(
                || format!("over TLS; where ops.tls is off, ask http://{}", self.authority),
            )?
        } else {
            let peer = stream.peer_addr()?.ip();
            anyhow::ensure!(
                basic.is_none() || is_near(peer),
                "the secret would go to {peer} in plaintext: use https://"
            );
            self.plain(stream, &pieces)?
        };
        anyhow::ensure!(answer.len() as u64 <= ANSWER_MAX, "its answer is over {ANSWER_MAX} bytes");
        anyhow::ensure!(answer.starts_with(b"HTTP/"), "that is no HTTP");
        Ok(answer)
    }

    fn plain(&self, mut stream: TcpStream, pieces: &[&[u8]]) -> anyhow::Result<Vec<u8>> {
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        // One that refuses does not read the body to its end, and its answer says why.
        let sent = pieces.iter().try_for_each(|piece| stream.write_all(piece));
        let mut answer = Vec::new();
        let read = stream.take(ANSWER_MAX + 1).read_to_end(&mut answer);
        if answer.is_empty() {
            sent?;
            read?;
        }
        Ok(answer)
    }

    fn connect(&self) -> anyhow::Result<TcpStream> {
        let mut failed = None;
        for address in self.authority.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.timeout.min(Duration::from_secs(10))) {
                Ok(stream) => return Ok(stream),
                Err(e) => failed = Some(e),
            }
        }
        Err(failed.map_or_else(|| anyhow::anyhow!("the name has no address"), Into::into))
    }

    /// What follows the head of an answer that says 200; of others, what they say.
    fn body<'a>(&self, answer: &'a [u8]) -> anyhow::Result<&'a [u8]> {
        let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            bail!("{}: that is no HTTP", self.authority);
        };
        let (head, body) = answer.split_at(at + 4);
        let head = String::from_utf8_lossy(head);
        let mut words = head.split_whitespace();
        match (words.next(), words.next()) {
            (Some(version), _) if !version.starts_with("HTTP/") => {
                bail!("{}: that is no HTTP", self.authority)
            }
            (_, Some("200")) => Ok(body),
            (_, Some(status)) => bail!("{}: {}", self.authority, refusal(status, body)),
            _ => bail!("{}: that is no HTTP", self.authority),
        }
    }
}

/// What an answer says that is no 200.
fn refusal(status: &str, body: &[u8]) -> String {
    let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    match (json["error"].as_str(), text.lines().next()) {
        (Some(error), _) => crate::out::foreign(error).into_owned(),
        (None, Some(line)) => format!("it answers {status}: {}", crate::out::foreign(line)),
        (None, None) => format!("it answers {status}"),
    }
}

/// The host and port of what was given.
fn authority(url: &str) -> anyhow::Result<&str> {
    let rest = url.strip_prefix(HTTP).or_else(|| url.strip_prefix(HTTPS)).unwrap_or(url);
    let rest = rest.trim_end_matches('/');
    let is_plain = rest.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok() && !host.contains(['/', ' ', '\r', '\n'])
    });
    if is_plain {
        return Ok(rest);
    }
    Err(wrong_use(format!(
        "{url}: write the node's ops listener as HOST:PORT or http(s)://HOST:PORT"
    )))
}

fn is_near(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// A path that says which plugin it is about, so that the node asks for a right on that one.
pub(super) fn about(path: &str, name: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}plugin={name}")
}

/// A name as it may stand in a path.
pub(super) fn name(name: &str) -> anyhow::Result<&str> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(legal) {
        return Ok(name);
    }
    Err(wrong_use(format!("{name:?} is not the name of a binding: 1 to 64 of a-z, 0-9 and -")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for url in ["127.0.0.1:5557", "http://127.0.0.1:5557", "https://127.0.0.1:5557/"] {
            assert_eq!(authority(url).unwrap(), "127.0.0.1:5557");
        }
        assert_eq!(authority("[::1]:80").unwrap(), "[::1]:80");
        for url in ["", "5557", "ftp://a:1", "a:b", "a:1/b", ":1", "a\r\nb:1", "a:99999"] {
            assert!(authority(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_address_says_whether_tls_is_spoken_there() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            way: WayArgs,
        }
        let line = ["x", "--tls-ca", "/there/is/none"];
        let way = <Line as clap::Parser>::try_parse_from(line).unwrap().way;
        assert!(way.way("http://a:1").unwrap().tls.is_none());
        assert!(way.way("a:1").is_err() && way.way("https://a:1").is_err());
    }

    #[test]
    fn a_path_says_which_plugin_it_is_about() {
        assert_eq!(about("/v1/plugins", "acl"), "/v1/plugins?plugin=acl");
        assert_eq!(about("/v1/c?digest=d", "acl"), "/v1/c?digest=d&plugin=acl");
    }

    #[test]
    fn bodies_are_taken_of_good_answers_only() {
        let node = Node::at("a:1", 1, Way::default()).unwrap();
        assert_eq!(node.body(b"HTTP/1.1 200 OK\r\na: b\r\n\r\nhello").unwrap(), b"hello");
        let refusal = |answer: &[u8]| node.body(answer).unwrap_err().to_string();
        assert_eq!(refusal(b"HTTP/1.1 404 Not Found\r\n\r\n"), "a:1: it answers 404");
        assert_eq!(refusal(b"HTTP/1.1 404 Not Found\r\n\r\nno\n"), "a:1: it answers 404: no");
        assert_eq!(refusal(b"HTTP/1.1 422 X\r\n\r\n{\"error\": \"unsigned\"}"), "a:1: unsigned");
        assert_eq!(refusal(b"SSH-2.0-x"), "a:1: that is no HTTP");
        assert_eq!(refusal(b"SSH 200\r\n\r\n"), "a:1: that is no HTTP");
        assert_eq!(refusal(b""), "a:1: that is no HTTP");
    }
}
