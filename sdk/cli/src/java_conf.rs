//! RocketMQ's `broker.conf`, translated key by key through the one table in `table`, and its
//! `tls.properties`.

mod metrics;
mod properties;
mod table;
pub(crate) mod tls_properties;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, anyhow, bail, ensure};
use blockhouse_service::config::{Layer, Loaded, Source};
use blockhouse_store::Flush;
use serde_json::Value;

use crate::options::Config;
use properties::Entry;
use table::{Half, Meaning};

/// A `broker.conf` as a layer of our own options.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) layer: Layer,
    pub(crate) unhonoured: Vec<Unhonoured>,
}

/// A key that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unhonoured {
    place: String,
    key: String,
    because: Cow<'static, str>,
}

impl fmt::Display for Unhonoured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is not honoured: {}", self.place, self.key, self.because)
    }
}

/// Translates the text of the file `name`.
pub(crate) fn translate(name: &str, text: &str) -> anyhow::Result<Translated> {
    through(name, text, table::meaning)
}

/// Translates key by key, each as `meaning` says.
fn through(name: &str, text: &str, meaning: fn(&str) -> Meaning) -> anyhow::Result<Translated> {
    let mut layer = Layer::default();
    let (entries, mut unhonoured) = in_force(name, text);
    check_alone(name, &entries, meaning)?;
    let mut miss = |key: &str, place: &Source, because: &'static str| {
        let (place, key) = (place.to_string(), key.to_owned());
        unhonoured.push(Unhonoured { place, key, because: because.into() });
    };
    for entry in &entries {
        let Entry { line, key, value, .. } = entry;
        let source = Source::File { name: name.to_owned(), line: *line };
        // A password is not repeated, nor is what a collector may take for one.
        let is_secret = key.ends_with("Password") || key.ends_with("Header");
        let shown = if is_secret { "..." } else { value.as_str() };
        let broken = |allowed| format!("`{key}` must be {allowed}, not `{shown}` ({source})");
        match meaning(key) {
            Meaning::Is(path) => layer.set(path, value, called(key, &source)),
            Meaning::Only(path, is_good, allowed) => {
                ensure!(is_good(value), broken(allowed));
                layer.set(path, value, called(key, &source));
            }
            Meaning::Through(path, convert, allowed) => {
                let ours = convert(value).with_context(|| broken(allowed))?;
                layer.set(path, ours, source);
            }
            Meaning::Refused(works, because) => {
                if !works.iter().any(|w| w.eq_ignore_ascii_case(value)) {
                    bail!("{key}={shown} cannot be honoured ({source}): {because}");
                }
            }
            Meaning::Address(path, half) => {
                let (is_good, allowed) = match half {
                    Half::Host => (host(value).is_some(), "an IP address"),
                    Half::Port => (port(value).is_some(), "a port from 1 to 65535"),
                };
                ensure!(is_good, broken(allowed));
                // What there is to say about an address is mostly about its host.
                if half == Half::Host || !has_host(&entries, path) {
                    layer.set(path, address(&entries, path), called(key, &source));
                }
            }
            Meaning::Exporter => {
                let missed = metrics::missed(value, &entries).map_err(|because| {
                    anyhow!("{key}={value} cannot be honoured ({source}): {because}")
                })?;
                missed.into_iter().for_each(|because| miss(key, &source, because));
            }
            Meaning::Collector(path, convert, allowed) => {
                let ours = convert(value).with_context(|| broken(allowed))?;
                match metrics::no_collector(&entries) {
                    None => layer.set(path, ours, source),
                    Some(because) if !value.is_empty() => miss(key, &source, because),
                    Some(_) => {}
                }
            }
            Meaning::Moot(is_good, allowed, harmless, because) => {
                ensure!(is_good(value), broken(allowed));
                if !harmless.contains(&value.as_str()) {
                    miss(key, &source, because);
                }
            }
            Meaning::None(because) => miss(key, &source, because),
        }
    }
    Ok(Translated { layer, unhonoured })
}

/// The entries that count, and those that others replace.
fn in_force(name: &str, text: &str) -> (Vec<Entry>, Vec<Unhonoured>) {
    let (entries, replaced) = properties::in_force(properties::parse(text));
    let told = |(Entry { line, key, .. }, by): (Entry, usize)| Unhonoured {
        place: format!("{name}:{line}"),
        key,
        because: format!("line {by} has the key again, and the last one counts").into(),
    };
    (entries, replaced.into_iter().map(told).collect())
}

/// Java takes a key alone for one with an empty value, of which RocketMQ makes `false` where it is a switch and
/// nothing where it is a number. A key without meaning is told as such.
fn check_alone(name: &str, entries: &[Entry], meaning: fn(&str) -> Meaning) -> anyhow::Result<()> {
    for Entry { line, key, .. } in entries.iter().filter(|entry| entry.is_alone) {
        ensure!(
            matches!(meaning(key), Meaning::None(_)),
            "`{key}` stands alone ({name}:{line}): write {key}=VALUE, or `{key}=` if it is to be empty"
        );
    }
    Ok(())
}

/// The place of an option whose values are the same in both files.
fn called(key: &str, place: &Source) -> Source {
    match place {
        Source::File { name, line } => {
            Source::Key { name: name.clone(), line: *line, key: key.into() }
        }
        other => other.clone(),
    }
}

fn has_host(entries: &[Entry], wanted: &str) -> bool {
    let mut meanings = entries.iter().map(|entry| table::meaning(&entry.key));
    meanings.any(|m| matches!(m, Meaning::Address(path, Half::Host) if path == wanted))
}

/// Puts an address together that RocketMQ has in two keys. A half that is wrong is refused where
/// it stands.
fn address(entries: &[Entry], wanted: &str) -> String {
    let mut address = if wanted == "ops.listen" { OPS_DEFAULT } else { BROKER_DEFAULT };
    for Entry { key, value, .. } in entries {
        match table::meaning(key) {
            Meaning::Address(path, Half::Host) if path == wanted => {
                host(value).into_iter().for_each(|host| address.set_ip(host));
            }
            Meaning::Address(path, Half::Port) if path == wanted => {
                port(value).into_iter().for_each(|port| address.set_port(port));
            }
            _ => {}
        }
    }
    address.to_string()
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const BROKER_DEFAULT: SocketAddr = SocketAddr::new(LOOPBACK, 10_911);
const OPS_DEFAULT: SocketAddr = SocketAddr::new(LOOPBACK, 5_557);

/// RocketMQ's own default of `metricsPromExporterHost` is nothing.
fn host(text: &str) -> Option<IpAddr> {
    if text.is_empty() { Some(LOOPBACK) } else { text.parse().ok() }
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// Options of which tools are told what came of them.
const COMPUTED: [&str; 2] = ["node.advertise", "node.namesrv"];

/// The configuration as a `broker.conf`, for tools that ask a broker for it.
pub(crate) fn properties(options: &Loaded<Config>, name_servers: &[String]) -> String {
    let values: BTreeMap<_, _> = options.entries().map(|(path, value, _)| (path, value)).collect();
    let mut out = String::new();
    for (key, path) in table::same() {
        let text = match values.get(path) {
            None | Some(Value::Null) => continue,
            _ if COMPUTED.contains(&path) => continue,
            Some(Value::String(text)) if text.is_empty() => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(";")
            }
            Some(other) => other.to_string(),
        };
        let _infallible = writeln!(out, "{key}={text}");
    }
    let config = &options.config;
    let told = config.node.advertise.unwrap_or(config.node.broker_listen.ip());
    let role = if config.node.broker_id == 0 { "ASYNC_MASTER" } else { "SLAVE" };
    let flush = match config.store.flush {
        Flush::Async => "ASYNC_FLUSH",
        Flush::Sync => "SYNC_FLUSH",
    };
    let _infallible = writeln!(
        out,
        "brokerId={}\nbrokerRole={role}\nflushDiskType={flush}\nlistenPort={}\nbrokerIP1={told}\n\
         namesrvAddr={}",
        config.node.broker_id,
        config.node.broker_listen.port(),
        name_servers.join(";")
    );
    out
}

#[cfg(test)]
mod tests {
    use blockhouse_service::config::Shape;

    use super::*;

    /// What a file makes of the options, and what of it is not honoured.
    pub(super) fn load(text: &str) -> anyhow::Result<(Loaded<Config>, Vec<String>)> {
        let translated = translate("broker.conf", text)?;
        let unhonoured = translated.unhonoured.iter().map(ToString::to_string).collect();
        Ok((Loaded::from_layers(&[translated.layer])?, unhonoured))
    }

    #[test]
    fn rocketmqs_own_example_file_is_understood() {
        let text = "# a comment\nbrokerClusterName = DefaultCluster\nbrokerName=broker-b\n\
                    brokerId = 0\ndeleteWhen = 04\nfileReservedTime = 48\n\
                    brokerRole = ASYNC_MASTER\nflushDiskType = SYNC_FLUSH\n";
        let (loaded, unhonoured) = load(text).unwrap();
        assert_eq!(unhonoured, Vec::<String>::new());
        assert_eq!(loaded.config.node.name, "broker-b");
        assert_eq!(loaded.source("node.name").to_string(), "broker.conf:3");
        let store =
            |path: &str| loaded.entries().find(|(p, ..)| *p == path).map(|(_, v, _)| v.to_string());
        assert_eq!(store("store.flush").as_deref(), Some("\"sync\""));
        assert_eq!(store("store.file_reserved_hours").as_deref(), Some("48"));
    }

    #[test]
    fn addresses_are_put_together() {
        let text = "listenPort=20911\nbrokerIP1=10.0.0.5\nnamesrvAddr=10.0.0.3:9876;10.0.0.4:9876";
        let node = load(text).unwrap().0.config.node;
        assert_eq!(node.broker_listen.to_string(), "127.0.0.1:20911");
        assert_eq!(node.advertise.unwrap().to_string(), "10.0.0.5");
        assert_eq!(node.namesrv, ["10.0.0.3:9876", "10.0.0.4:9876"]);
        let node = load("bindAddress=0.0.0.0\n").unwrap().0.config.node;
        assert_eq!(node.broker_listen.to_string(), "0.0.0.0:10911");
        for text in ["bindAddress=0.0.0.0\nlistenPort=1\n", "listenPort=1\nbindAddress=0.0.0.0\n"] {
            let loaded = load(text).unwrap().0;
            assert_eq!(loaded.config.node.broker_listen.to_string(), "0.0.0.0:1");
            assert_eq!(loaded.source("node.broker_listen").called(""), "bindAddress");
        }
        assert_eq!(
            load("listenPort=1\n").unwrap().0.source("node.broker_listen").called(""),
            "listenPort"
        );
    }

    #[test]
    fn keys_without_effect_are_named_and_dangerous_ones_refused() {
        let (_, unhonoured) = load("sendMessageThreadPoolNums=4\nfooBar=1\n").unwrap();
        assert_eq!(unhonoured.len(), 2);
        assert!(unhonoured[0].starts_with(
            "broker.conf:1: sendMessageThreadPoolNums is not honoured: there are no thread pools"
        ));
        let refused = load("\n\naclEnable=true\n").unwrap_err().to_string();
        assert!(refused.starts_with("aclEnable=true cannot be honoured (broker.conf:3): "));
        assert!(load("aclEnable=false\n").is_ok());
        let refused = load("flushDiskType=SOMETIMES\n").unwrap_err().to_string();
        assert_eq!(
            refused,
            "`flushDiskType` must be ASYNC_FLUSH or SYNC_FLUSH, not `SOMETIMES` (broker.conf:1)"
        );
    }

    #[test]
    fn a_key_that_stands_alone_is_refused_and_one_that_comes_again_is_told() {
        let refused = load("\nautoCreateTopicEnable\n").unwrap_err().to_string();
        assert_eq!(
            refused,
            "`autoCreateTopicEnable` stands alone (broker.conf:2): write autoCreateTopicEnable=VALUE, \
             or `autoCreateTopicEnable=` if it is to be empty"
        );
        assert!(load("namesrvAddr=\n").is_ok());
        let (_, told) = load("what is this\nfooBar\n").unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        // The first would be refused.
        let text = "aclEnable=true\nbrokerName=a\naclEnable=false\nbrokerName=b\n";
        let (loaded, told) = load(text).unwrap();
        assert_eq!(loaded.config.node.name, "b");
        let again = |line, key, by| {
            format!(
                "broker.conf:{line}: {key} is not honoured: line {by} has the key again, and the \
                 last one counts"
            )
        };
        assert_eq!(told, [again(1, "aclEnable", 3), again(2, "brokerName", 4)]);
    }

    #[test]
    fn values_that_cannot_be_used_are_not_replaced_by_others() {
        let refused = |text: &str| load(text).map(|_| ()).unwrap_err().to_string();
        for key in ["listenPort", "metricsPromExporterPort"] {
            for value in ["0", "70000", "abc", "-1", ""] {
                assert_eq!(
                    refused(&format!("\n{key}={value}\n")),
                    format!(
                        "`{key}` must be a port from 1 to 65535, not `{value}` (broker.conf:2)"
                    )
                );
            }
        }
        assert_eq!(
            refused("listenPort=10911\nbindAddress=here\n"),
            "`bindAddress` must be an IP address, not `here` (broker.conf:2)"
        );
        assert_eq!(
            refused("storePathCommitLog=/a,/b\n"),
            "`storePathCommitLog` must be one directory (a CommitLog over several is not \
             supported), not `/a,/b` (broker.conf:1)"
        );
        assert_eq!(
            refused("mappedFileSizeConsumeQueue=many\n"),
            "`mappedFileSizeConsumeQueue` must be a number of bytes, not `many` (broker.conf:1)"
        );
        // RocketMQ's own word for an option is the one in its file.
        assert!(refused("autoCreateTopicEnable=yes\n").starts_with("`autoCreateTopicEnable` must"));
    }

    #[test]
    fn one_commit_log_directory_and_compressed_reports_are_honoured() {
        let (loaded, unhonoured) =
            load("storePathCommitLog=/a\ncompressedRegister=true\n").unwrap();
        assert_eq!(unhonoured, Vec::<String>::new());
        assert_eq!(loaded.config.store.commit_log_dir, std::path::Path::new("/a"));
        assert!(loaded.config.registrar.compressed);
        let told = properties(&loaded, &[]);
        for line in ["storePathCommitLog=/a", "compressedRegister=true"] {
            assert!(told.lines().any(|l| l == line), "{line} is not in\n{told}");
        }
    }

    #[test]
    fn tools_are_told_the_configuration_in_rocketmqs_words() {
        let (loaded, _) = load("brokerName=b\nnamesrvAddr=a:1;b:2\nmaxMessageSize=65536").unwrap();
        let told = properties(&loaded, &loaded.config.node.namesrv);
        for line in
            ["brokerName=b", "namesrvAddr=a:1;b:2", "maxMessageSize=65536", "brokerIP1=127.0.0.1"]
        {
            assert!(told.lines().any(|l| l == line), "{line} is not in\n{told}");
        }
        let again = load(&told).unwrap().0;
        assert_eq!(properties(&again, &again.config.node.namesrv), told);
    }

    #[test]
    fn every_path_of_the_table_is_an_option() {
        let shape = Shape::of::<Config>().unwrap();
        for path in table::paths() {
            assert!(shape.options.contains_key(path), "{path} is not an option");
        }
    }
}
