//! Layers of options into one configuration.

use std::collections::BTreeMap;

use blockhouse_service::config::{Layer, Loaded, Shape, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    node: Node,
    /// What is kept.
    store: Store,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Node {
    /// What the node is called.
    name: String,
    /// The address | that others see.
    advertise: Option<std::net::IpAddr>,
    namesrv: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Store {
    segment_bytes: u64,
    flush_interval_ms: u32,
    flush: Flush,
    warm: bool,
    /// Whose keys.
    #[schemars(with = "serde_json::Value")]
    keys: Keys,
}

/// A word or a table, as only the type itself knows.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Keys {
    Word(Word),
    Table(Named),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    None,
    Any,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Named {
    all_of: Vec<String>,
    minimum: usize,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Flush {
    #[default]
    Async,
    /// Wait for the disk.
    Sync,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            flush_interval_ms: 500,
            flush: Flush::Async,
            warm: false,
            keys: Keys::Word(Word::None),
        }
    }
}

fn load(toml: &str, sets: &[&str]) -> Result<Loaded<Config>, String> {
    let file = Layer::from_toml("b.toml", toml).map_err(|e| e.to_string())?;
    let mut flags = Layer::default();
    for set in sets {
        flags.assign(set).map_err(|e| e.to_string())?;
    }
    Loaded::from_layers(&[file, flags]).map_err(|e| e.to_string())
}

fn refused(toml: &str, sets: &[&str]) -> String {
    match load(toml, sets) {
        Ok(loaded) => format!("accepted: {:?}", loaded.config),
        Err(text) => text,
    }
}

#[test]
fn later_layers_win_and_each_value_knows_its_source() {
    let toml = "[node]\nname = \"a\"\n\n[store]\nflush = \"sync\"\nsegment_bytes = \"64MiB\"\n";
    let loaded = load(toml, &["node.name=b", "node.namesrv=x:1;y:2"]).unwrap();
    assert_eq!(loaded.config.node.name, "b");
    assert_eq!(loaded.config.node.namesrv, ["x:1", "y:2"]);
    assert_eq!(loaded.config.store.segment_bytes, 64 << 20);
    assert_eq!(loaded.config.store.flush, Flush::Sync);
    assert_eq!(loaded.config.store.flush_interval_ms, 500);
    assert_eq!(loaded.source("store.flush"), Source::File { name: "b.toml".into(), line: 5 });
    assert_eq!(loaded.source("node.name").to_string(), "--set node.name");
    assert_eq!(loaded.source("store.warm"), Source::Default);
    assert!(loaded.is_set("store.segment_bytes") && !loaded.is_set("store.warm"));
}

#[test]
fn unknown_keys_name_path_place_and_the_nearest_name() {
    assert_eq!(
        refused("[store]\nflush_interval = 5\n", &[]),
        "there is no option `store.flush_interval` (b.toml:2); \
         did you mean `store.flush_interval_ms`?"
    );
    assert_eq!(
        refused("", &["storage.warm=true"]),
        "there is no option `storage.warm` (--set storage.warm); did you mean `store.warm`?"
    );
    assert_eq!(refused("", &["store=1"]), "there is no option `store` (--set store)");
    assert_eq!(refused("", &["store"]), "`--set store` should be `--set section.key=value`");
}

#[test]
fn wrong_values_name_path_expectation_and_place() {
    assert_eq!(
        refused("[store]\nwarm = 1\n", &[]),
        "`store.warm` must be true or false, not 1 (b.toml:2)"
    );
    assert_eq!(
        refused("", &["store.flush_interval_ms=-1"]),
        "`store.flush_interval_ms` must be a whole number from 0 to 4294967295, not `-1` \
         (--set store.flush_interval_ms)"
    );
    assert_eq!(
        refused("[store]\nflush = \"never\"\n", &[]),
        "`store.flush` must be one of async, sync, not \"never\" (b.toml:2)"
    );
    let text = refused("[node]\nname = \"n\"\nadvertise = \"somewhere\"\n", &[]);
    assert!(text.starts_with("`node.advertise` cannot be \"somewhere\" (b.toml:3): "), "{text}");
    assert!(refused("[node\n", &[]).starts_with("b.toml is not valid TOML: "));
}

#[test]
fn what_is_shown_as_toml_is_the_same_configuration() {
    let loaded = load("[node]\nnamesrv = [\"a:1\"]\n", &["store.segment_bytes=1048576"]).unwrap();
    let shown = loaded.to_toml();
    let again = load(&shown, &[]).unwrap();
    assert_eq!(format!("{:?}", again.config), format!("{:?}", loaded.config));
    let table = loaded.to_table();
    assert!(table.lines().any(|l| l.starts_with("store.segment_bytes") && l.contains("--set")));
    assert!(loaded.to_json().contains("\"source\": \"b.toml:2\""));
}

#[test]
fn an_option_of_its_own_form_takes_tables() {
    let keys = |toml: &str, sets: &[&str]| load(toml, sets).unwrap().config.store.keys;
    let table = || Keys::Table(Named { all_of: vec!["a".to_owned()], minimum: 2 });
    let inline = "[store]\nkeys = { all_of = [\"a\"], minimum = 2 }\n";
    assert_eq!(keys(inline, &[]), table());
    let section = "[store]\nwarm = true\n\n[store.keys]\nall_of = [\"a\"]\nminimum = 2\n";
    let loaded = load(section, &[]).unwrap();
    assert_eq!((loaded.config.store.keys, loaded.config.store.warm), (table(), true));
    let place = |toml: &str| load(toml, &[]).unwrap().source("store.keys").to_string();
    assert_eq!(place(inline), "b.toml:2");
    assert_eq!(place(section), "b.toml:4");
    let dotted = "[store]\nkeys.all_of = [\"a\"]\nkeys.minimum = 2\n";
    assert_eq!((keys(dotted, &[]), place(dotted).as_str()), (table(), "b.toml:2"));
    // The parts of a table are no options that a weaker layer's would go with.
    let empty = Keys::Table(Named::default());
    assert_eq!(keys(inline, &["store.keys={}"]), empty);
    assert_eq!(keys("[store.keys]\n", &[]), empty);
    let shown = load(inline, &[]).unwrap().to_toml();
    assert_eq!(keys(&shown, &[]), table());
    assert!(
        refused("[store.keys]\nmost_of = [\"a\"]\n", &[])
            .starts_with("`store.keys` cannot be {\"most_of\":[\"a\"]} (b.toml:1): ")
    );
    assert_eq!(
        refused("[store]\nflush.now = true\n", &[]),
        "`store.flush` must be one of async, sync, not {\"now\":true} (b.toml:2)"
    );
}

#[test]
fn a_flag_takes_a_value_of_its_own_form_as_toml_or_json() {
    let keys = |set: &str| load("", &[set]).unwrap().config.store.keys;
    let table = Keys::Table(Named { all_of: vec!["a".to_owned()], minimum: 2 });
    assert_eq!(keys("store.keys={ all_of = [\"a\"], minimum = 2 }"), table);
    assert_eq!(keys(r#"store.keys={"all_of": ["a"], "minimum": 2}"#), table);
    assert_eq!(keys("store.keys='any'"), Keys::Word(Word::Any));
    assert_eq!(keys("store.keys=\"any\""), Keys::Word(Word::Any));
    assert_eq!(keys("store.keys=any"), Keys::Word(Word::Any));
    assert!(refused("", &["store.keys=some"]).starts_with("`store.keys` cannot be \"some\""));
    assert_eq!(
        refused("", &["store.keys={}\nother=1"]),
        "`store.keys` must be a value of its own form, not `{}\nother=1` (--set store.keys)"
    );
}

#[test]
fn no_value_can_be_written_in_every_source() {
    let address = |toml: &str, sets: &[&str]| load(toml, sets).unwrap().config.node.advertise;
    let given = "[node]\nadvertise = \"10.0.0.5\"\n";
    assert!(address(given, &[]).is_some());
    assert_eq!(address(given, &["node.advertise=off"]), None);
    assert_eq!(address(given, &["node.advertise="]), None);
    assert_eq!(address("[node]\nadvertise = \"off\"\n", &[]), None);
    assert_eq!(address("[node]\nadvertise = \"\"\n", &[]), None);
    let shown = load(given, &["node.advertise=off"]).unwrap().to_toml();
    assert!(shown.contains("advertise = \"off\"  # --set node.advertise\n"), "{shown}");
    let again = load(&shown, &[]).unwrap();
    assert!(again.is_set("node.advertise") && again.config.node.advertise.is_none());
    // A word is nothing only where there may be nothing.
    assert_eq!(load("[node]\nname = \"off\"\n", &[]).unwrap().config.node.name, "off");
}

#[test]
fn an_option_is_called_as_its_file_calls_it() {
    let refused = |value: &str| {
        let mut layer = Layer::default();
        let key = "flushInterval".into();
        let source = Source::Key { name: "b.conf".to_owned(), line: 7, key };
        layer.set("store.flush_interval_ms", value, source);
        match Loaded::<Config>::from_layers(&[layer]) {
            Ok(loaded) => loaded.broken_rule("store.flush_interval_ms", "must be odd").to_string(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(
        refused("x"),
        "`flushInterval` must be a whole number from 0 to 4294967295, not `x` (b.conf:7)"
    );
    assert_eq!(refused("2"), "`flushInterval` must be odd, not 2 (b.conf:7)");
}

#[test]
fn a_broken_rule_is_told_with_value_and_place() {
    let loaded = load("[store]\nflush_interval_ms = 0\n", &[]).unwrap();
    assert_eq!(
        loaded.broken_rule("store.flush_interval_ms", "must be at least 1").to_string(),
        "`store.flush_interval_ms` must be at least 1, not 0 (b.toml:2)"
    );
    // Parts of a value are where the value is.
    let list = Layer::from_toml("b.toml", "\n[[list]]\nx = \"a\"\ny = [1, 2]\n").unwrap();
    let loaded = Loaded::<Listed>::from_layers(&[list]).unwrap();
    let broken_part = |path: &str| loaded.broken_rule(path, "must be c").to_string();
    assert_eq!(broken_part("list[0].x"), "`list[0].x` must be c, not \"a\" (b.toml:2)");
    assert_eq!(broken_part("list[0].y[1]"), "`list[0].y[1]` must be c, not 2 (b.toml:2)");
    for gone in ["list[0].z", "list[1].x", "list[x", "list[0"] {
        assert_eq!(broken_part(gone), format!("`{gone}` must be c, not nothing (b.toml:2)"));
    }
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Listed {
    list: Vec<BTreeMap<String, serde_json::Value>>,
}

#[test]
fn the_reference_page_has_a_row_per_option() {
    let page = Shape::of::<Config>().unwrap().to_markdown();
    assert!(page.contains("## [store]\n\nWhat is kept.\n"), "{page}");
    assert!(
        page.contains(
            "| `advertise` | text, or \"off\" | `\"off\"` | The address \\| that others see. |"
        ),
        "{page}"
    );
    assert!(page.contains("| `flush` | one of async, sync | `\"async\"` |"), "{page}");
}
