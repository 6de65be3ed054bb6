//! Plugins change while requests go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use blockhouse_disk::{RealDisk, whole};
use blockhouse_hook::{Decision, HookChain, Hooks};
use blockhouse_host::{Binding, Config, Deploy, Host, Interface, Terms};
use blockhouse_model::{Access, Action, Resource};

use super::rig::{Shelf, binding, component, packed, request, sent, version};

/// The sample in a version that marks what it sees with that version.
pub(super) fn stamp(shelf: &Shelf, name: &str, of: &str) -> Deploy {
    let digest = shelf.put(&version(of));
    let mut bound = binding(&digest, &format!(r#"{{"set_property": {{"{name}": "{of}"}}}}"#));
    bound.hooks = vec![Interface::BeforeSend];
    // Not about time, and compilers run beside.
    bound.deadline_ms = Some(50);
    deploy(name, bound)
}

pub(super) fn deploy(name: &str, mut bound: Binding) -> Deploy {
    bound.name = name.to_owned();
    let (name, digest) = (name.to_owned(), bound.digest.clone());
    Deploy { name, digest, binding: Some(bound), signatures: None, check: None }
}

pub(super) fn put(host: &Host, deploys: Vec<Deploy>) -> Result<u64, String> {
    let report = host.deploy(deploys, Terms::default());
    report.map(|report| report.generation).map_err(|e| e.to_string())
}

pub(super) fn empty(shelf: &Shelf) -> Host {
    shelf.start(Vec::new()).unwrap().unwrap()
}

/// What is set on a message by the chain in force.
pub(super) fn marks(hooks: &Hooks) -> String {
    let (decision, _, properties) = sent(&hooks.load(), &["x"]).remove(0);
    assert_eq!(decision, Decision::Admit);
    properties.replace("TAGS\u{1}red\u{2}", "").replace('\u{1}', "=").replace('\u{2}', " ")
}

pub(super) fn rules(text: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(text).unwrap()
}

pub(super) fn refused(host: &Host, deploys: Vec<Deploy>) -> (&'static str, String) {
    let error = host.deploy(deploys, Terms::default()).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn two_plugins_are_replaced_at_once_under_load() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.0.0"), stamp(&shelf, "b", "1.0.0")]).unwrap();
    let (stop, bursts) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = std::collections::BTreeSet::new();
                    while !stop.load(Ordering::SeqCst) {
                        seen.insert(marks(&shelf.hooks));
                        bursts.fetch_add(1, Ordering::SeqCst);
                        // Leaves the processor to who compiles.
                        std::thread::park_timeout(std::time::Duration::from_micros(200));
                    }
                    seen
                })
            })
            .collect();
        // Some requests have met each version.
        let met = |more: u64| {
            let before = bursts.load(Ordering::SeqCst);
            let is_on = || !callers.iter().any(std::thread::ScopedJoinHandle::is_finished);
            // A caller that has ended has failed, which its join says.
            while bursts.load(Ordering::SeqCst) < before + more && is_on() {
                std::thread::yield_now();
            }
        };
        met(20);
        let both = vec![stamp(&shelf, "a", "1.0.1"), stamp(&shelf, "b", "1.0.1")];
        assert_eq!(put(&host, both), Ok(2));
        met(20);
        stop.store(true, Ordering::SeqCst);
        for caller in callers {
            for mark in caller.join().unwrap() {
                let versions: Vec<_> =
                    mark.split_whitespace().filter_map(|m| m.split('=').nth(1)).collect();
                assert_eq!(versions.len(), 2, "{mark}");
                assert_eq!(versions[0], versions[1], "a mixed chain");
            }
        }
    });
    let status = host.status();
    assert!(status.iter().all(|p| p.hooks.iter().all(|h| h.failures.is_empty())), "{status:?}");
    assert_eq!(marks(&shelf.hooks), "a=1.0.1 b=1.0.1 ");
    host.close();
}

#[test]
fn whatever_fails_before_the_swap_changes_nothing() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.1.0")]).unwrap();
    let damaged = || {
        let damaged = stamp(&shelf, "a", "1.3.0");
        let path = shelf.path(&damaged.digest);
        let mut bytes = whole::read(&RealDisk, &path).unwrap().unwrap();
        bytes[100] ^= 1;
        whole::replace(&RealDisk, &path, &bytes).unwrap();
        damaged
    };
    let changed = |change: fn(&mut Binding)| {
        let mut deploy = stamp(&shelf, "a", "1.2.0");
        change(deploy.binding.as_mut().unwrap());
        deploy
    };
    let golden = || {
        let mut deploy = stamp(&shelf, "a", "1.2.0");
        deploy.check = Some(Box::new(|trials| {
            let trial = trials.with(None).unwrap();
            assert!(sent(trial.chain(), &["x"])[0].2.contains("a\u{1}1.2.0"));
            assert_eq!(trial.hooks().iter().map(|hook| hook.calls).sum::<u64>(), 1);
            Err("case `x` came out otherwise".to_owned())
        }));
        deploy
    };
    let unwanted = packed(|m| m.replace("\"conformance\"", "\"other\""));
    let other = shelf.put(&unwanted);
    let cases: Vec<(&str, Deploy, &str)> = vec![
        ("digest", damaged(), "the file has the digest"),
        ("missing", deploy("a", binding(&format!("sha256:{}", "0".repeat(64)), "{}")), "not there"),
        ("downgrade", stamp(&shelf, "a", "1.0.9"), "older than the installed 1.1.0"),
        ("widened", changed(|b| b.grants.kv = false), "also asks for kv"),
        ("other-plugin", deploy("a", binding(&other, "{}")), "under its own name"),
        ("binding", changed(|b| b.instances = 0), "instances"),
        ("start", changed(|b| b.config = rules(r#"{"faults": {"init": "error"}}"#)), "it says"),
        ("case", golden(), "came out otherwise"),
        (
            "no-manifest",
            deploy("a", binding(&shelf.put(&component("conformance")), "{}")),
            "manifest",
        ),
        ("unbound", Deploy { binding: None, ..deploy("new", binding(&other, "{}")) }, "--binding"),
    ];
    for (kind, deploy, says) in cases {
        let file = whole::read(&RealDisk, &shelf.dir().join("deployed.json")).unwrap();
        // The good one that comes with it does not get in either.
        let good = ["start", "case"].contains(&kind).then(|| stamp(&shelf, "b", "1.0.0"));
        let (found, text) = refused(&host, good.into_iter().chain([deploy]).collect());
        assert_eq!(found, kind, "{text}");
        assert!(text.contains(says), "{kind}: {text}");
        assert_eq!(marks(&shelf.hooks), "a=1.1.0 ", "{kind}");
        assert_eq!(whole::read(&RealDisk, &shelf.dir().join("deployed.json")).unwrap(), file);
    }
    let tried =
        host.deploy(vec![stamp(&shelf, "a", "1.2.0")], Terms { dry_run: true, force: false });
    let tried = tried.unwrap();
    assert_eq!((tried.generation, tried.plugins[0].outcome), (1, "replaced"));
    assert_eq!(marks(&shelf.hooks), "a=1.1.0 ");
    assert_eq!(host.status()[0].instances, 2, "those of the one in force");
    host.close();
    assert_eq!(refused(&host, vec![stamp(&shelf, "a", "1.2.0")]).0, "stopping");
}

#[test]
fn a_rollback_compiles_nothing_and_keeps_what_the_old_one_counted() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    assert_eq!(host.rollback("a").unwrap_err().kind(), "nothing-before");
    assert_eq!(host.rollback("z").unwrap_err().kind(), "unknown");
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ");
    for of in ["1.0.1", "1.0.2", "1.0.3"] {
        put(&host, vec![stamp(&shelf, "a", of)]).unwrap();
        assert_eq!(marks(&shelf.hooks), format!("a={of} "));
    }
    let gone = version("1.0.0");
    let gone = blockhouse_package::Digest::of(&gone).to_string();
    assert!(!shelf.path(&gone).exists(), "a fourth version is not kept");
    assert_eq!(host.rollback("a").unwrap().generation, 5);
    assert_eq!(marks(&shelf.hooks), "a=1.0.2 ");
    assert_eq!(host.status()[0].hooks[0].calls, 2, "it is the same plugin as before");
    host.rollback("a").unwrap();
    assert_eq!(marks(&shelf.hooks), "a=1.0.1 ");
    assert_eq!(host.rollback("a").unwrap_err().kind(), "nothing-before");
    // What an operator rolled back is not rejected.
    put(&host, vec![stamp(&shelf, "a", "1.0.2")]).unwrap();
    host.close();
}

#[test]
fn a_plugin_that_nobody_changed_keeps_instances_and_counts() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.0.0"), stamp(&shelf, "b", "1.0.0")]).unwrap();
    marks(&shelf.hooks);
    put(&host, vec![stamp(&shelf, "a", "1.0.1"), stamp(&shelf, "b", "1.0.0")]).unwrap();
    let calls: Vec<_> = host.status().iter().map(|p| p.hooks[0].calls).collect();
    assert_eq!(calls, [0, 1]);
    let report = host.deploy(vec![stamp(&shelf, "b", "1.0.0")], Terms::default()).unwrap();
    assert_eq!((report.generation, report.plugins[0].outcome), (2, "unchanged"));
    host.close();
}

#[test]
fn old_instances_go_when_their_last_call_has_ended() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    let old = Arc::clone(&shelf.hooks.load());
    put(&host, vec![stamp(&shelf, "a", "1.0.1")]).unwrap();
    host.look();
    // A request that began before: it ends with the old one.
    assert!(sent(&old, &["x"])[0].2.contains("1.0.0"));
    drop(old);
    host.look();
    host.rollback("a").unwrap();
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ", "the pool was filled again");
    assert_eq!(host.status()[0].instances, 2);
    host.close();
}

#[test]
fn a_change_of_config_alone_reaches_all_instances_and_they_keep_their_state() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    let with = |config: &str| {
        let mut deploy = stamp(&shelf, "a", "1.0.0");
        deploy.binding.as_mut().unwrap().config = serde_json::from_str(config).unwrap();
        deploy
    };
    put(&host, vec![with(r#"{"set_property": {"a": "old"}}"#)]).unwrap();
    (0..10).for_each(|_| assert_eq!(marks(&shelf.hooks), "a=old "));
    let report = host.deploy(vec![with(r#"{"set_property": {"a": "new"}}"#)], Terms::default());
    assert_eq!(report.unwrap().plugins[0].outcome, "reconfigured");
    (0..10).for_each(|_| assert_eq!(marks(&shelf.hooks), "a=new "));
    assert_eq!(host.status()[0].hooks[0].calls, 20, "the same plugin");

    // What `init` does not take, and what only a running instance does not.
    let (kind, text) = refused(&host, vec![with(r#"{"no_such_rule": 1}"#)]);
    assert!(kind == "config" && text.contains("no_such_rule"), "{text}");
    let faulty = r#"{"faults": {"config-changed": "error"}, "set_property": {"a": "faulty"}}"#;
    put(&host, vec![with(faulty)]).unwrap();
    let (kind, text) = refused(&host, vec![with(r#"{"set_property": {"a": "next"}}"#)]);
    assert!(kind == "config" && text.contains("keeps the former"), "{text}");
    (0..10).for_each(|_| assert_eq!(marks(&shelf.hooks), "a=faulty "));
    assert_eq!(host.rollback("a").unwrap_err().kind(), "config");

    // It wants to be called otherwise: that is another plugin.
    let report = host.deploy(vec![with(r#"{"batch_max": 3}"#)], Terms::default()).unwrap();
    assert_eq!(report.plugins[0].outcome, "replaced");
    assert_eq!(host.status()[0].hooks[0].calls, 0);
    host.close();
}

#[test]
fn instances_that_come_later_have_the_new_config() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    let with = |mark: &str| {
        let mut deploy = stamp(&shelf, "a", "1.0.0");
        let config = format!(
            r#"{{"set_property": {{"a": "{mark}"}}, "faults": {{"before-send": "trap"}}, "fault_on": "bad"}}"#
        );
        deploy.binding.as_mut().unwrap().config = serde_json::from_str(&config).unwrap();
        deploy
    };
    put(&host, vec![with("old")]).unwrap();
    put(&host, vec![with("new")]).unwrap();
    for _ in 0..4 {
        assert!(matches!(sent(&shelf.hooks.load(), &["bad"])[0].0, Decision::Reject(_)));
        assert_eq!(marks(&shelf.hooks), "a=new ");
    }
    host.close();
}

#[test]
fn what_was_taken_out_stays_out_over_a_restart() {
    let shelf = Shelf::new();
    let mut base = stamp(&shelf, "base", "1.0.0").binding.unwrap();
    base.required = true;
    let start = || shelf.start(vec![base.clone()]).unwrap().unwrap();
    let host = start();
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 base=1.0.0 ");
    assert_eq!(host.disable("base").unwrap().plugins[0].outcome, "disabled");
    assert_eq!(host.disable("base").unwrap().plugins[0].outcome, "unchanged");
    assert_eq!(host.disable("z").unwrap_err().kind(), "unknown");
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ");
    host.close();

    let host = start();
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ");
    let out: Vec<_> =
        host.status().iter().map(|p| (p.name.clone(), p.disabled, p.loaded)).collect();
    assert_eq!(out, [("a".to_owned(), false, true), ("base".to_owned(), true, false)]);
    host.enable("base").unwrap();
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 base=1.0.0 ");
    assert_eq!(host.changes().generation, 3);
    host.disable("a").unwrap();
    host.enable("a").unwrap();
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 base=1.0.0 ");
    // A deploy enables as well.
    host.disable("a").unwrap();
    put(&host, vec![stamp(&shelf, "a", "1.0.1")]).unwrap();
    assert_eq!(marks(&shelf.hooks), "a=1.0.1 base=1.0.0 ");
    host.close();
}

#[test]
fn a_deployed_binding_wins_over_the_configuration_s() {
    let shelf = Shelf::new();
    let base = stamp(&shelf, "a", "1.0.0").binding.unwrap();
    let host = shelf.start(vec![base.clone()]).unwrap().unwrap();
    let source = |host: &Host| serde_json::to_string(&host.status()[0].source).unwrap();
    assert_eq!(source(&host), "\"configuration\"");
    // Without a binding it takes the one in force.
    let next = Deploy { binding: None, ..stamp(&shelf, "a", "1.0.1") };
    put(&host, vec![next]).unwrap();
    assert_eq!(
        (source(&host), host.status()[0].version.as_deref()),
        ("\"deployed\"".to_owned(), Some("1.0.1"))
    );
    assert_eq!(marks(&shelf.hooks), "a=1.0.0 ", "its config is the former one's");
    host.close();
    let host = shelf.start(vec![base.clone()]).unwrap().unwrap();
    assert_eq!(host.status()[0].version.as_deref(), Some("1.0.1"));
    assert_eq!(host.status()[0].history.len(), 1);
    host.rollback("a").unwrap();
    assert_eq!(
        (host.status()[0].digest.clone(), host.status()[0].history.len()),
        (base.digest.clone(), 0)
    );
    assert!(shelf.path(&base.digest).exists());
    host.close();
}

#[test]
fn a_record_that_cannot_be_read_keeps_the_node_down() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    host.close();
    let path = shelf.dir().join("deployed.json");
    let bytes = whole::read(&RealDisk, &path).unwrap().unwrap();
    whole::replace(&RealDisk, &path, &bytes[..bytes.len() / 2]).unwrap();
    let error = shelf.start(Vec::new()).err().unwrap();
    assert_eq!(error.kind(), "record");
    assert!(error.to_string().contains("remove it to start"), "{error}");
    whole::replace(&RealDisk, &path, &bytes).unwrap();
    blockhouse_disk::Disk::remove(
        &RealDisk,
        &shelf.path(&{ blockhouse_package::Digest::of(&version("1.0.0")).to_string() }),
    )
    .unwrap();
    assert_eq!(shelf.start(Vec::new()).err().unwrap().kind(), "missing");
}

#[test]
fn components_are_taken_whole_or_not_at_all() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    let bytes = version("1.0.0");
    let digest = blockhouse_package::Digest::of(&bytes).to_string();
    let put = |bytes: &[u8]| host.put_component(bytes.to_vec().into(), &digest);
    assert_eq!(put(&bytes[1..]).unwrap_err().kind(), "digest");
    assert!(!shelf.path(&digest).exists());
    put(&bytes).unwrap();
    assert!(shelf.path(&digest).exists());
    let bare = component("noop");
    let digest = blockhouse_package::Digest::of(&bare).to_string();
    let bare = host.put_component(bare.to_vec().into(), &digest);
    assert_eq!(bare.unwrap_err().kind(), "no-manifest");
    let junk =
        host.put_component("junk".into(), &blockhouse_package::Digest::of(b"junk").to_string());
    assert_eq!(junk.unwrap_err().kind(), "package");
    host.close();
}

#[test]
fn the_lines_of_a_plugin_go_on_over_its_versions() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    let with = |of: &str| {
        let mut deploy = stamp(&shelf, "a", of);
        let faults = r#"{"faults": {"before-send": "trap"}, "fault_on": "bad"}"#;
        deploy.binding.as_mut().unwrap().config = serde_json::from_str(faults).unwrap();
        deploy
    };
    for of in ["1.0.0", "1.0.1"] {
        put(&host, vec![with(of)]).unwrap();
        sent(&shelf.hooks.load(), &["bad"]);
    }
    let lines = host.lines("a", 0, 100).unwrap();
    let of_host: Vec<_> = lines.iter().filter(|line| line.level == "host").collect();
    let said = [
        "generation 1: version 1.0.0 is in force",
        "before-send: it trapped",
        "generation 2: version 1.0.1 is in force",
        "before-send: it trapped",
    ];
    assert_eq!(of_host.len(), said.len(), "{lines:?}");
    assert!(of_host.iter().zip(said).all(|(line, said)| line.text.starts_with(said)), "{lines:?}");
    assert!(lines.windows(2).all(|two| two[0].number < two[1].number));
    assert!(host.lines("a", of_host[3].number, 100).unwrap().is_empty());
    assert_eq!(host.lines("z", 0, 100), None);
    host.close();
}

/// Wants all lines: what nobody wants is not kept either.
struct Listener;

impl tracing::Subscriber for Listener {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        tracing::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::Id) {}
    fn exit(&self, _: &tracing::Id) {}
}

/// Has the sample count in its `kv`, with a request that it is asked about.
fn counted(chain: &HookChain) {
    let access = Access { action: Action::Pub, resource: Resource::Topic("orders") };
    tracing::subscriber::with_default(Listener, || {
        let _verdict = chain.authorize(&request(Some("ann")), &[access]);
    });
}

#[test]
fn what_a_plugin_stored_is_there_for_its_next_version() {
    let shelf = Shelf::new();
    let host = empty(&shelf);
    let version = |of: &str| {
        let mut deploy = stamp(&shelf, "a", of);
        let bound = deploy.binding.as_mut().unwrap();
        bound.hooks = vec![Interface::Authorize];
        bound.config = rules(r#"{"ask_host": true}"#);
        deploy
    };
    let sum = || {
        let lines = host.lines("a", 0, 1_000).unwrap();
        let last = lines.into_iter().rfind(|line| line.text.starts_with("asked"));
        last.map(|line| line.text).unwrap_or_default()
    };
    put(&host, vec![version("1.0.0")]).unwrap();
    (0..2).for_each(|_| counted(&shelf.hooks.load()));
    assert!(sum().contains("Ok(2)"), "{}", sum());
    let mut next = version("1.0.1");
    next.check = Some(Box::new(|trials| {
        let trial = trials.with(None).map_err(|e| e.to_string())?;
        (0..5).for_each(|_| counted(trial.chain()));
        Ok(())
    }));
    put(&host, vec![next]).unwrap();
    counted(&shelf.hooks.load());
    assert!(sum().contains("Ok(3)"), "a trial counts for itself: {}", sum());
    host.rollback("a").unwrap();
    counted(&shelf.hooks.load());
    assert!(sum().contains("Ok(4)"), "and for the version before: {}", sum());
    host.close();
}

#[test]
fn native_hooks_stand_before_all_plugins_whatever_changes() {
    let mut shelf = Shelf::new();
    let rules = blockhouse_conformance::Rules::parse(r#"{"set_property": {"native": "1"}}"#);
    shelf.native = vec![Arc::new(blockhouse_conformance::Native::new(rules.unwrap()))];
    let host = empty(&shelf);
    assert_eq!(marks(&shelf.hooks), "native=1 ");
    put(&host, vec![stamp(&shelf, "a", "1.0.0")]).unwrap();
    assert_eq!(marks(&shelf.hooks), "native=1 a=1.0.0 ");
    host.disable("a").unwrap();
    assert_eq!(marks(&shelf.hooks), "native=1 ");
    host.close();
}

#[test]
fn no_plugins_at_all_is_a_choice() {
    let shelf = Shelf::new();
    assert!(shelf.start_with(&Config { enabled: false, ..Config::default() }).unwrap().is_none());
}
