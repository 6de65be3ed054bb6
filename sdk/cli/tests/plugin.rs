//! `blockhouse plugin`, from an empty directory to a plugin that decides on a node.
#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is a failed test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use blockhouse_disk::{Disk as _, RealDisk, whole};
use serde_json::Value;

const HOOKS: &str = "connection,authenticate,authorize,before-send,after-append,pull,\
    before-deliver,ack,admin-command,broker-registration,route-query,enrich-span,audit-sink";

/// Runs `blockhouse` in `dir`: its exit code and what it printed.
fn run_in(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_blockhouse"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs `blockhouse plugin` in `dir`.
fn plugin(dir: &Path, args: &[&str]) -> (i32, String, String) {
    run_in(dir, &[&["plugin"], args].concat())
}

/// The same, which must do well.
fn done(dir: &Path, args: &[&str]) -> String {
    let (code, out, err) = plugin(dir, args);
    assert_eq!(code, 0, "{args:?}: {out}{err}");
    out
}

fn json(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&done(dir, &[args, &["--json"]].concat())).unwrap()
}

fn put(path: &Path, bytes: &[u8]) {
    whole::replace(&RealDisk, path, bytes).unwrap();
}

fn bytes(path: &Path) -> Vec<u8> {
    whole::read(&RealDisk, path).unwrap().unwrap()
}

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests")
}

/// A new plugin, with the dependencies that the repository's guests have. Its directory is the same
/// in each run, so that what cargo keeps of it does not pile up.
fn fresh(site: &str, name: &str, hooks: &str) -> PathBuf {
    let site = Path::new(env!("CARGO_TARGET_TMPDIR")).join(site);
    if site.exists() {
        std::fs::remove_dir_all(&site).unwrap();
    }
    std::fs::create_dir_all(&site).unwrap();
    done(&site, &["new", name, "--hooks", hooks]);
    let dir = site.join(name);
    let lock =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/conformance/guest/Cargo.lock");
    put(&dir.join("Cargo.lock"), &bytes(&lock));
    dir
}

fn build(dir: &Path) -> Value {
    json(dir, &["build", "--target-dir", guests().to_str().unwrap()])
}

/// A plugin that serves every hook, built once; each test gets a copy.
struct Sample {
    site: tempfile::TempDir,
    digest: String,
}

impl Sample {
    fn new() -> Self {
        static BUILT: OnceLock<(PathBuf, String)> = OnceLock::new();
        let (dir, digest) = BUILT.get_or_init(|| {
            let dir = fresh("sample", "every-hook", HOOKS);
            let digest = build(&dir)["digest"].as_str().unwrap().to_owned();
            (dir, digest)
        });
        let site = tempfile::tempdir().unwrap();
        for name in [
            "every-hook.wasm",
            "cases/before-send.toml",
            "cases/before-deliver.toml",
            "cases/enrich-span.toml",
        ] {
            put(&site.path().join(name), &bytes(&dir.join(name)));
        }
        Self { site, digest: digest.clone() }
    }

    fn dir(&self) -> &Path {
        self.site.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }
}

#[test]
fn what_new_writes_passes_its_own_tests() {
    let dir = fresh("own-tests", "every-hook", HOOKS);
    let output = Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--target-dir", guests().to_str().unwrap()])
        .current_dir(&dir)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("13 passed"), "{told}");
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!warnings.contains("warning"), "{warnings}");
    // As it is where the repository's own settings are not above it.
    put(&dir.join("rustfmt.toml"), b"");
    let formatted = Command::new("cargo").args(["fmt", "--check"]).current_dir(&dir).output();
    let formatted = formatted.unwrap();
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stdout));
}

#[test]
fn new_refuses_what_would_not_build() {
    let site = tempfile::tempdir().unwrap();
    let dir = site.path();
    for args in [&["new", "1a"][..], &["new", "fn"], &["new", "Big"], &["new", "a", "--sdk", "."]] {
        let (code, out, err) = plugin(dir, args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?} {err}");
    }
    let (code, _, err) = plugin(dir, &["new", "a", "--hooks", "before-lunch"]);
    assert!(code == 2 && err.contains("none of connection, authenticate"), "{err}");
    done(dir, &["new", "a"]);
    let (code, _, err) = plugin(dir, &["new", "a"]);
    assert!(code == 2 && err.contains("not empty"), "{err}");
    let (code, _, err) = plugin(dir, &["build"]);
    assert!(code == 2 && err.contains("plugin new"), "{err}");
}

#[test]
fn inspect_tells_what_build_made() {
    let sample = Sample::new();
    let seen = json(sample.dir(), &["inspect", "every-hook.wasm"]);
    assert_eq!(seen["digest"], sample.digest);
    assert_eq!(seen["manifest"]["hooks"].as_array().unwrap().len(), 13);
    assert_eq!(seen["manifest"]["asks"], serde_json::json!(["log"]));
    assert!(seen["exports"].as_array().unwrap().contains(&"pull@0.1.0".into()), "{seen}");
    assert!(seen["imports"].as_array().unwrap().contains(&"log@0.1.0".into()), "{seen}");
    let text = done(sample.dir(), &["inspect", "every-hook.wasm"]);
    assert!(text.contains(&sample.digest) && text.contains("every-hook 0.1.0"), "{text}");

    let whole = bytes(&sample.file("every-hook.wasm"));
    put(&sample.file("cut.wasm"), &whole[..whole.len() / 2]);
    put(&sample.file("module.wasm"), b"\0asm\x01\0\0\0");
    put(&sample.file("bare.wasm"), b"\0asm\x0d\0\x01\0");
    for (name, told, problem) in [
        ("cut.wasm", 1, "malformed"),
        ("module.wasm", 1, "core module"),
        ("bare.wasm", 1, "holds no manifest"),
        ("none.wasm", 2, "there is no file none.wasm"),
    ] {
        let (code, _, err) = plugin(sample.dir(), &["inspect", name]);
        assert!(code == told && err.contains(problem), "{name}: {code} {err}");
    }
}

#[test]
fn who_signed_is_checked_against_who_is_trusted() {
    let sample = Sample::new();
    let dir = sample.dir();
    done(dir, &["keygen", "release", "--dir", "."]);
    RealDisk.create(&sample.file("trust/release.pub")).unwrap();
    put(&sample.file("trust/release.pub"), &bytes(&sample.file("release.pub")));
    let verify = ["verify", "every-hook.wasm", "--trust", "trust"];
    let (code, _, err) = plugin(dir, &verify);
    assert!(code == 1 && err.contains("plugin sign"), "{err}");
    assert!(done(dir, &[&verify[..], &["--require", "none"]].concat()).contains("nobody"));
    done(dir, &["sign", "every-hook.wasm", "--key", "release.key"]);
    assert_eq!(json(dir, &verify)["signers"], serde_json::json!(["release"]));
    let (code, _, err) = plugin(dir, &[&verify[..], &["--minimum", "2"]].concat());
    assert!(code == 1 && err.contains("2 are required"), "{err}");
    let (code, _, err) = plugin(dir, &[&verify[..], &["--all-of", "security"]].concat());
    assert!(code == 2 && err.contains("no key security"), "{err}");
    assert_eq!(plugin(dir, &["verify", "every-hook.wasm", "--trust", "nowhere"]).0, 2);
    assert_eq!(plugin(dir, &["keygen", "release", "--dir", "."]).0, 2, "a key is never replaced");

    // The signature of another component.
    let mut other = bytes(&sample.file("every-hook.wasm"));
    let at = other.windows(5).rposition(|five| five == b"0.1.0").unwrap();
    other[at] = b'9';
    put(&sample.file("other.wasm"), &other);
    put(&sample.file("other.wasm.sig"), &bytes(&sample.file("every-hook.wasm.sig")));
    let args = ["verify", "other.wasm", "--trust", "trust", "--require", "none"];
    let (code, out, err) = plugin(dir, &args);
    assert!(code == 1 && err.contains("changed after it was signed"), "{out}{err}");
}

#[test]
fn add_puts_a_component_where_the_node_looks() {
    let sample = Sample::new();
    let dir = sample.dir();
    let (code, _, err) = plugin(dir, &["add", "every-hook.wasm", "--data", "data"]);
    assert!(code == 2 && err.contains("--data"), "{err}");
    put(&sample.file("data/some"), b"");
    let added = json(dir, &["add", "every-hook.wasm", "--data", "data"]);
    assert!(added["binding"].as_str().unwrap().contains(&sample.digest), "{added}");
    let name = sample.digest.replace(':', "-");
    let path = sample.file(&format!("data/blockhouse/plugins/{name}.wasm"));
    assert_eq!(bytes(&path), bytes(&sample.file("every-hook.wasm")));
    put(&sample.file("bare.wasm"), b"\0asm\x0d\0\x01\0");
    let (code, _, err) = plugin(dir, &["add", "bare.wasm", "--data", "data"]);
    assert!(code == 1 && err.contains("holds no manifest"), "{err}");
    let (code, _, err) = plugin(dir, &["add", ".", "--data", "data"]);
    assert!(code == 2 && err.contains("plugin build"), "{err}");
}

#[test]
fn cases_pass_or_are_named() {
    let sample = Sample::new();
    let dir = sample.dir();
    let passed = json(dir, &["test", "every-hook.wasm"]);
    assert_eq!((&passed["passed"], &passed["failed"]), (&6.into(), &0.into()));
    let case = "[config]\nrequired_property = \"tenant\"\n[[case]]\nname = \"wrong\"\n\
        hook = \"before-send\"\ntopic = \"t\"\nexpect = { decision = \"admit\" }\n";
    put(&sample.file("cases/wrong.toml"), case.as_bytes());
    let (code, out, err) = plugin(dir, &["test", "every-hook.wasm"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("FAILED  wrong.toml: wrong"), "{out}");
    assert!(out.contains("expected admit, found reject because: set the property"), "{out}");

    let config = case.replace("required_property", "requierd_property");
    put(&sample.file("cases/wrong.toml"), config.as_bytes());
    let (code, _, err) = plugin(dir, &["test", "every-hook.wasm"]);
    assert!(code == 1 && err.contains("requierd_property"), "the plugin says it: {err}");
    put(&sample.file("cases/wrong.toml"), b"[[case]]\nnmae = 1\n");
    let (code, _, err) = plugin(dir, &["test", "every-hook.wasm"]);
    assert!(code == 2 && err.contains("wrong.toml"), "{err}");
    assert_eq!(plugin(dir, &["test", "every-hook.wasm", "--cases", "nowhere"]).0, 2);

    let binding = format!("[[plugins.binding]]\nname = \"a\"\ndigest = \"{}\"\n", sample.digest);
    put(&sample.file("node.toml"), binding.as_bytes());
    let args = ["test", "every-hook.wasm", "--binding", "node.toml"];
    RealDisk.remove(&sample.file("cases/wrong.toml")).unwrap();
    let (code, _, err) = plugin(dir, &args);
    assert!(code == 1 && err.contains("does not grant"), "log is not granted: {err}");
}

#[test]
fn bench_has_a_row_for_each_load() {
    let sample = Sample::new();
    let told = json(sample.dir(), &["bench", "every-hook.wasm", "--round-ms", "1"]);
    let rows = told["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 16);
    assert!(rows.iter().all(|row| row["nsPerCall"].as_u64().unwrap() > 0), "{told}");
}

#[test]
fn what_is_saved_is_loaded_elsewhere() {
    let sample = Sample::new();
    let dir = sample.dir();
    done(dir, &["keygen", "release"]);
    done(dir, &["sign", "every-hook.wasm", "--key", "release.key"]);
    done(dir, &["save", "every-hook.wasm", "-o", "plugins.tar"]);
    assert_eq!(plugin(dir, &["save", "every-hook.wasm", "-o", "plugins.tar"]).0, 1);
    let twice = ["save", "every-hook.wasm", "every-hook.wasm", "-o", "twice.tar"];
    assert_eq!(plugin(dir, &twice).0, 2);
    put(&sample.file("data/some"), b"");
    done(dir, &["load", "plugins.tar", "--data", "data"]);
    let name = sample.digest.replace(':', "-");
    let path = sample.file(&format!("data/blockhouse/plugins/{name}.wasm"));
    assert_eq!(bytes(&path), bytes(&sample.file("every-hook.wasm")));
    assert!(RealDisk.exists(&whole::with_suffix(&path, ".sig")));

    let mut tar = bytes(&sample.file("plugins.tar"));
    let middle = tar.len() / 2;
    tar[middle] ^= 1;
    put(&sample.file("flipped.tar"), &tar);
    put(&sample.file("other/some"), b"");
    let (code, _, err) = plugin(dir, &["load", "flipped.tar", "--data", "other"]);
    assert_eq!(code, 1, "{err}");
    assert!(!RealDisk.exists(&sample.file("other/blockhouse")), "nothing was put there");
}

#[test]
fn diff_points_out_wider_asks() {
    let dir = fresh("diff", "guard", "before-send");
    let first = build(&dir);
    put(&dir.join("old.wasm"), &bytes(&dir.join("guard.wasm")));
    assert_eq!(done(&dir, &["diff", "old.wasm", "guard.wasm"]), "nothing differs\n");
    let manifest = String::from_utf8(bytes(&dir.join("plugin.toml"))).unwrap();
    let manifest = manifest.replace("version = \"0.1.0\"\nabi", "version = \"0.2.0\"\nabi");
    put(&dir.join("plugin.toml"), manifest.replace("[\"log\"]", "[\"log\", \"kv\"]").as_bytes());
    let second = build(&dir);
    assert_ne!(first["digest"], second["digest"]);
    let changes = json(&dir, &["diff", "old.wasm", "guard.wasm"]);
    assert_eq!(changes["changes"]["version"]["new"], "0.2.0");
    assert_eq!(changes["widerAsks"], serde_json::json!(["kv"]));
    let text = done(&dir, &["diff", "old.wasm", "guard.wasm"]);
    assert!(text.contains("asks        +kv") && text.contains("asks for more (kv)"), "{text}");
    // A manifest that does not fit the code is told before anything is written.
    put(&dir.join("plugin.toml"), manifest.replace("before-send", "pull").as_bytes());
    let target = guests();
    let (code, _, err) = plugin(&dir, &["build", "--target-dir", target.to_str().unwrap()]);
    assert!(code == 1 && err.contains("plugin.toml does not fit"), "{err}");
}

/// A binding in a config, with more fields.
fn binding(name: &str, more: &str) -> String {
    let digest = "0".repeat(64);
    format!("[[plugins.binding]]\nname = \"{name}\"\ndigest = \"sha256:{digest}\"\n{more}\n")
}

/// The calls that `plugin explain` tells: request, hook, binding, what a failure does.
fn explained(dir: &Path, more: &[&str]) -> Vec<String> {
    let args = ["explain", "--config", "node.toml", "--data", "d"];
    let told = json(dir, &[&args[..], more].concat());
    let words = |call: &Value| {
        let word = |name: &str| call[name].as_str().unwrap().to_owned();
        ["request", "hook", "binding", "onFailure"].map(word).join(" ")
    };
    told["calls"].as_array().unwrap().iter().map(words).collect()
}

#[test]
fn explain_tells_who_is_called_in_which_order() {
    let site = tempfile::tempdir().unwrap();
    let config = [
        binding("late", "order = 10\nhooks = [\"before-send\"]\non_failure = \"open\""),
        binding("early", "order = -1\nhooks = [\"before-send\", \"pull\"]\ntopics = [\"orders*\"]"),
        binding("other", "hooks = [\"before-send\"]\ntopics = [\"bills\"]"),
        binding("ann", "hooks = [\"before-deliver\"]\nprincipals = [\"ann\"]\nmode = \"shadow\""),
        binding("open", "order = 99\ncodes = [11]"),
        binding("of-group", "hooks = [\"authorize\"]\ntopics = [\"bills\"]\ngroups = [\"g\"]"),
    ];
    put(&site.path().join("node.toml"), config.concat().as_bytes());
    let explain = |more: &[&str]| explained(site.path(), more);
    let calls = explain(&["--topic", "orders-a"]);
    let send: Vec<_> = calls.iter().filter(|call| call.starts_with("send before")).collect();
    assert_eq!(send, ["send before-send early closed", "send before-send late open"]);
    assert!(calls.contains(&"pull pull open closed".to_owned()), "{calls:?}");
    assert!(!calls.iter().any(|call| call.contains(" ann ")), "{calls:?}");
    let calls = explain(&["--topic", "x", "--principal", "ann"]);
    assert!(calls.contains(&"pull before-deliver ann closed".to_owned()), "{calls:?}");
    let calls = explain(&["--topic", "bills", "--group", "g"]);
    let of_group: Vec<_> = calls.iter().filter(|call| call.contains(" of-group ")).collect();
    assert_eq!(of_group, ["pull authorize of-group closed"], "a send is not the group's");
    // What is not about messages.
    let route = explain(&["--action", "route", "--topic", "orders-a"]);
    let expected = ["route connection open closed"];
    assert_eq!(route, expected, "it is bound to pulls, and a connection has no code");
}

#[test]
fn explain_tells_of_what_is_not_about_messages() {
    let site = tempfile::tempdir().unwrap();
    let explain = |more: &[&str]| explained(site.path(), more);
    put(&site.path().join("node.toml"), binding("keeper", "codes = [103, 215]").as_bytes());
    assert_eq!(
        explain(&["--action", "register"]),
        [
            "register connection keeper closed",
            "register authenticate keeper closed",
            "register authorize keeper closed",
            "register broker-registration keeper closed",
            "register audit-sink keeper open",
        ]
    );
    let admin = ["--action", "admin", "--topic", "orders"];
    assert_eq!(explain(&admin), ["admin connection keeper closed"], "creating a topic is 17");
    let delete = explain(&[&admin[..], &["--code", "215"]].concat());
    assert!(delete.contains(&"admin admin-command keeper closed".to_owned()), "{delete:?}");
    assert_eq!(explain(&["--action", "connect"]), ["connect connection keeper closed"]);
    let (code, _, err) =
        plugin(site.path(), &["explain", "--config", "node.toml", "--action", "ack"]);
    assert!(code == 2 && err.contains("--topic"), "{err}");
    let args = ["explain", "--config", "none.toml", "--topic", "x"];
    assert_eq!(plugin(site.path(), &args).0, 2);
    // What cannot be read is no empty set: the node would not start either.
    put(&site.path().join("d/blockhouse/plugins/deployed.json"), b"{");
    let args = ["explain", "--config", "node.toml", "--data", "d", "--action", "register"];
    let (code, _, err) = plugin(site.path(), &args);
    assert!(code == 1 && err.contains("deployed.json"), "{err}");
    assert_eq!(plugin(site.path(), &[&args[..], &["--role", "namesrv"]].concat()).0, 0);
}

/// A node of its own; killed when dropped.
struct Node {
    process: Child,
    namesrv: String,
    ops: String,
}

impl Node {
    fn start(dir: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_blockhouse"))
            .args(["standalone", "--data", "data", "--config", "node.toml", "--ops-listen", "0"])
            .args(["--namesrv-listen", "0", "--broker-listen", "0"])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let lines: Vec<String> =
            lines.map_while(Result::ok).take_while(|line| line != "ready").collect();
        let address = |listener: &str| {
            let line = lines.iter().find(|line| line.starts_with(listener));
            line.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
        };
        Self { process, namesrv: address("namesrv"), ops: address("ops") }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nothing more can be done about one that cannot be killed.
        drop(self.process.kill().and_then(|()| self.process.wait()));
    }
}

#[test]
fn a_new_plugin_decides_on_a_node_and_is_seen_there() {
    let sample = Sample::new();
    let dir = sample.dir();
    put(&sample.file("data/some"), b"");
    let binding = json(dir, &["add", "every-hook.wasm", "--data", "data"])["binding"].clone();
    let config = "config = { required_property = \"TAGS\", hidden_tags = [\"internal\"] }";
    let text = format!("{}deadline_ms = 50\n{config}\n", binding.as_str().unwrap());
    put(&sample.file("node.toml"), text.as_bytes());
    let node = Node::start(dir);
    let cluster = ["-n", node.namesrv.as_str()];
    let send = |args: &[&str]| run_in(dir, &[&["produce", "orders"], args, &cluster].concat());
    let (code, _, err) = send(&["no tag"]);
    assert!(code == 1 && err.contains("set the property TAGS"), "{err}");
    assert_eq!(send(&["shown", "--tag", "public"]).0, 0);
    assert_eq!(send(&["hidden", "--tag", "internal"]).0, 0);
    let consume = [&["consume", "orders", "--group", "g"][..], &cluster].concat();
    let (code, out, err) = run_in(dir, &consume);
    assert!(code == 0 && out.contains("shown") && !out.contains("hidden"), "{out}{err}");

    let seen = json(dir, &["list", "--ops", &node.ops]);
    assert_eq!(seen["plugins"][0]["digest"], sample.digest);
    let text = done(dir, &["list", "--ops", &format!("http://{}/", node.ops)]);
    let row = text.lines().find(|line| line.contains(" before-send ")).unwrap();
    assert!(row.contains("every-hook") && row.contains("runs"), "{text}");
    let (code, _, err) = plugin(dir, &["list", "--ops", &node.namesrv, "--timeout-ms", "500"]);
    assert!(code == 1 && err.contains("ops.listen"), "that is no HTTP: {err}");
    assert_eq!(plugin(dir, &["list", "--ops", "somewhere"]).0, 2);
}

#[test]
fn traffic_of_a_live_topic_is_recorded_and_replayed() {
    let sample = Sample::new();
    let dir = sample.dir();
    put(&sample.file("node.toml"), b"");
    let node = Node::start(dir);
    let cluster = ["-n", node.namesrv.as_str()];
    let send = |args: &[&str]| run_in(dir, &[&["produce", "orders"], args, &cluster].concat()).0;
    assert_eq!((send(&["old"]), send(&["one", "--tag", "a"]), send(&["two"])), (0, 0, 0));
    let binding = format!(
        "[[plugins.binding]]\nname = \"a\"\ndigest = \"{}\"\ngrants = {{ log = true }}\n\
         deadline_ms = 50\nconfig = {{ required_property = \"TAGS\" }}\n",
        sample.digest
    );
    put(&sample.file("binding.toml"), binding.as_bytes());
    let test = ["test", "every-hook.wasm", "--binding", "binding.toml"];
    let record = [&test[..], &["--record", "orders", "--messages", "2"], &cluster].concat();
    let text = done(dir, &record);
    assert!(text.contains("before-send: 1 admitted, 1 refused: set the property TAGS"), "{text}");
    assert!(text.contains("orders.jsonl: before-deliver: 2 delivered"), "{text}");
    let recorded = String::from_utf8(bytes(&sample.file("recorded/orders.jsonl"))).unwrap();
    assert!(recorded.lines().count() == 2 && !recorded.contains("old"), "{recorded}");

    // What is accepted must stay so.
    done(dir, &[&test[..], &["--accept"]].concat());
    done(dir, &test);
    put(&sample.file("binding.toml"), binding.replace("TAGS", "KEYS").as_bytes());
    let (code, out, _) = plugin(dir, &test);
    assert!(code == 1 && out.contains("accepted was: admitted"), "{out}");
    put(&sample.file("recorded/orders.jsonl"), b"{\"topic\":\"orders\"}\n");
    let (code, _, err) = plugin(dir, &test);
    assert!(code == 2 && err.contains("orders.jsonl: line 1"), "{err}");

    let missing = [&test[..], &["--record", "nothing"], &cluster].concat();
    let (code, _, err) = plugin(dir, &missing);
    assert!(code == 1 && err.contains("nothing"), "{err}");
}

/// What the process answers in which a node compiles.
fn compiled(component: &[u8], memory_mib: &str) -> Vec<u8> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_blockhouse"))
        .args(["plugin", "compile-component", "--memory-mib", memory_mib, "--timeout-ms", "60000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended by then.
    let _broken = child.stdin.take().unwrap().write_all(component);
    child.wait_with_output().unwrap().stdout
}

#[test]
fn a_component_is_compiled_within_its_limits_or_not_at_all() {
    let empty = b"\0asm\x0d\0\x01\0";
    let answer = compiled(empty, "1024");
    let (head, code) = answer.split_at(9);
    assert_eq!((head[0], &code[..4]), (0, &b"\x7fELF"[..]));
    assert_eq!(u64::from_le_bytes(head[1..].try_into().unwrap()), code.len() as u64);

    let refused = compiled(&[&empty[..], b"\xff"].concat(), "1024");
    assert_eq!(refused[0], 1);
    assert!(String::from_utf8_lossy(&refused).contains("cannot be compiled"));

    // One function that multiplies a number by itself, a million times.
    let body = [&b"\0\x20\0"[..], &b"\x20\0\x6c".repeat(1_000_000), b"\x0b"].concat();
    let sized = |bytes: Vec<u8>| {
        let len = u32::try_from(bytes.len()).unwrap();
        let digit = |i: u32| u8::try_from(len >> (7 * i) & 127 | (u32::from(i < 3) << 7)).unwrap();
        [[0, 1, 2, 3].map(digit).to_vec(), bytes].concat()
    };
    let section = |kind: u8, bytes: Vec<u8>| [vec![kind], sized(bytes)].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, b"\x01\x60\x01\x7f\x01\x7f".to_vec()),
        section(3, b"\x01\0".to_vec()),
        section(10, [vec![1], sized(body)].concat()),
    ];
    let greedy = [&empty[..], &section(1, module.concat())].concat();
    assert_ne!(compiled(&greedy, "128").first(), Some(&0), "128 MiB were enough");
}

fn with<'a>(node: &'a Node, args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--node", node.ops.as_str()]].concat()
}

#[test]
fn a_plugin_comes_and_goes_on_a_running_node() {
    let sample = Sample::new();
    let dir = sample.dir();
    put(&sample.file("node.toml"), b"");
    let node = Node::start(dir);
    let send = || run_in(dir, &["produce", "orders", "no tag", "-n", node.namesrv.as_str()]).0;
    assert_eq!(send(), 0);

    let (code, _, err) = plugin(dir, &with(&node, &["deploy", "every-hook.wasm"]));
    assert!(code == 1 && err.contains("--binding FILE"), "{err}");
    let printed = json(dir, &["add", "every-hook.wasm", "--data", "data"])["binding"].clone();
    let config = "config = { required_property = \"TAGS\" }";
    let text = format!("{}deadline_ms = 50\n{config}\n", printed.as_str().unwrap());
    put(&sample.file("binding.toml"), text.as_bytes());
    let deploy = ["deploy", "every-hook.wasm", "--binding", "binding.toml", "--cases", "cases"];
    let tried = json(dir, &with(&node, &[&deploy[..], &["--dry-run"]].concat()));
    assert_eq!(tried["nodes"][0]["report"]["dryRun"], true, "{tried}");
    assert_eq!(send(), 0);
    let explained = |calls: usize, disabled: &[&str]| {
        let args = ["explain", "--config", "node.toml", "--data", "data", "--action", "send"];
        let told = json(dir, &[&args[..], &["--topic", "orders"]].concat());
        let of_send = told["calls"].as_array().unwrap().iter();
        let of_send: Vec<_> = of_send.filter(|call| call["hook"] == "before-send").collect();
        assert_eq!((of_send.len(), &told["disabled"]), (calls, &serde_json::json!(disabled)));
        assert!(of_send.iter().all(|call| call["from"] == "deployed"), "{told}");
        assert!(of_send.iter().all(|call| call["digest"] == sample.digest), "{told}");
    };
    explained(0, &[]);
    let told = done(dir, &with(&node, &deploy));
    assert!(told.contains("every-hook") && told.contains("added"), "{told}");
    assert_eq!(send(), 1);
    explained(1, &[]);

    let seen = json(dir, &with(&node, &["describe", "every-hook"]));
    assert_eq!(seen["digest"], sample.digest);
    assert_eq!(seen["source"], "deployed");
    assert!(done(dir, &with(&node, &["describe", "every-hook"])).contains("deadline_ms"));
    let top = json(dir, &with(&node, &["top", "--once", "--interval-ms", "100"]));
    assert_eq!(top["generation"], 1);
    done(dir, &with(&node, &["logs", "every-hook", "--json"]));

    assert!(done(dir, &with(&node, &["disable", "every-hook"])).contains("disabled"));
    assert_eq!(send(), 0);
    assert!(done(dir, &with(&node, &["list"])).contains("disabled"));
    explained(0, &["every-hook"]);
    done(dir, &with(&node, &["enable", "every-hook"]));
    explained(1, &[]);
    assert_eq!(send(), 1);
    let (code, _, err) = plugin(dir, &with(&node, &["rollback", "every-hook"]));
    assert!(code == 1 && err.contains("no version before"), "{err}");
    let (code, _, err) = plugin(dir, &with(&node, &["disable", "another"]));
    assert!(code == 1 && err.contains("there is no plugin another"), "{err}");
    let nameless = format!("sha256:{}", "0".repeat(64));
    assert_eq!(plugin(dir, &with(&node, &["deploy", &nameless])).0, 2);
    assert_eq!(plugin(dir, &with(&node, &["disable", "A B"])).0, 2);
}
