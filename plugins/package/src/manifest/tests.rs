use proptest::prelude::*;

use super::*;

const WHOLE: &str = r#"
# A comment, another order, another spelling.
version = '1.2.0'
name = "orders-acl"
description = 'Says "no" to \ some'
abi = "0.1"
asks = ["log", "kv", "log"]
hooks = ["before-send", "authorize"]
limits = { memory = "8MiB", component_size = "100KiB", deadline_ms = { authorize = 1, lifecycle = 2000 } }
[sdk]
language = "rust"
version = "0.1.0"
"#;

const CANONICAL: &str = r#"name = "orders-acl"
version = "1.2.0"
abi = "0.1"
description = "Says \"no\" to \\ some"
hooks = ["authorize", "before-send"]
asks = ["log", "kv"]
[limits]
memory = 8388608
component_size = 102400
[limits.deadline_ms]
lifecycle = 2000
authorize = 1
[sdk]
language = "rust"
version = "0.1.0"
"#;

fn least(extra: &str) -> String {
    format!("name = \"a\"\nversion = \"1.0.0\"\nabi = \"0.1\"\nhooks = [\"authorize\"]\n{extra}")
}

fn problem(text: &str) -> String {
    Manifest::parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_manifest_has_one_canonical_spelling() {
    let manifest = Manifest::parse(WHOLE.as_bytes()).unwrap();
    assert_eq!(manifest.canonical(), CANONICAL);
    assert_eq!(Manifest::parse_canonical(CANONICAL.as_bytes()).unwrap(), manifest);
    assert_eq!(manifest.limits.memory(), 8 << 20);
    let refused = Manifest::parse_canonical(WHOLE.as_bytes()).unwrap_err().to_string();
    assert!(refused.contains("canonical"), "{refused}");
}

#[test]
fn what_is_not_said_has_a_default_and_stays_unsaid() {
    let manifest = Manifest::parse(least("").as_bytes()).unwrap();
    assert_eq!(manifest.canonical(), least(""));
    assert_eq!(manifest.limits.memory(), 16 << 20);
    assert_eq!(manifest.limits.component_size(), 8 << 20);
    assert!(manifest.asks.is_empty());
}

#[test]
fn wrong_keys_are_named_by_their_path() {
    for (extra, path) in [
        ("colour = 1", "`colour` is not known here"),
        ("[limits]\nmemry = 1", "`limits.memry` is not known here"),
        ("[limits.deadline_ms]\npull = 1", "`limits.deadline_ms.pull` is not known here"),
        ("[limits.deadline_ms]\nauthorize = 51", "`limits.deadline_ms.authorize` is not a whole"),
        ("[limits.deadline_ms]\nauthorize = 0", "`limits.deadline_ms.authorize` is not a whole"),
        ("limits = 1", "`limits` is not a table"),
        ("limits.memory = \"1GiB\"", "`limits.memory` is not a number of bytes"),
        ("limits.memory = \"257MiB\"", "`limits.memory` is not a number of bytes"),
        ("limits.memory = 65535", "`limits.memory` is not a number of bytes"),
        ("limits.memory = \"+8MiB\"", "`limits.memory` is not a number of bytes"),
        ("limits.component_size = \"65MiB\"", "`limits.component_size` is not a number"),
        ("limits.memory = \"99999999999999999999MiB\"", "`limits.memory` is not a number"),
        ("asks = [\"log\", \"files\"]", "`asks[1]` is none of log, "),
        ("asks = [1]", "`asks[0]` is not text"),
        ("asks = \"log\"", "`asks` is not a list"),
        ("asks = [\"http\"]", "`asks` has `http`, which may wait, beside the hook `authorize`"),
        ("description = \"a\\nb\"", "`description` has a control character"),
        ("sdk.language = 1", "`sdk.language` is not text"),
        ("sdk.authors = 1", "`sdk.authors` is not known here"),
    ] {
        let problem = problem(&least(extra));
        assert!(problem.contains(path), "{problem}");
    }
    let long = format!("description = \"{}\"", "ä".repeat(129));
    assert!(problem(&least(&long)).contains("`description` has more than 256 bytes"));
}

#[test]
fn what_must_be_there_and_how() {
    for (from, to, expected) in [
        ("name = \"a\"\n", "", "`name` is missing"),
        ("name = \"a\"", "name = \"A\"", "`name` \"A\" is not a name"),
        ("\"1.0.0\"", "\"1.0\"", "`version` is not like 1.2.3"),
        ("version = \"1.0.0\"", "version = 1", "`version` is not text"),
        ("\"0.1\"", "\"0.2\"", "`abi` must be one of 0.1"),
        ("\"0.1\"", "\"0.1.0\"", "`abi` must be one of 0.1"),
        ("[\"authorize\"]", "[\"lifecycle\"]", "`hooks[0]` is none of connection, "),
        ("[\"authorize\"]", "[\"pull\", \"pull\"]", "`hooks[1]` stands there twice"),
        ("name = \"a\"", "name = \"a\"\nname = \"b\"", "not TOML"),
    ] {
        let problem = problem(&least("").replace(from, to));
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn large_ones_are_not_read() {
    let text = least(&format!("# {}", "x".repeat(SIZE_MAX)));
    assert!(problem(&text).contains("more than 65536"));
    let many = format!("asks = [{}]", "\"log\",".repeat(65));
    assert!(problem(&least(&many)).contains("`asks` has more than 64 items"));
    assert!(Manifest::parse(&[0xff, 0xfe]).is_err());
    let deep = format!("x = {}", "[".repeat(20_000));
    assert!(problem(&least(&deep)).contains("not TOML"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _whatever = Manifest::parse(&bytes).is_ok();
    }

    #[test]
    fn what_is_read_is_read_alike_from_its_canonical_spelling(
        cut in 0..WHOLE.len(),
        insert in "[a-z0-9=\"\\[\\]{}.\n -]{0,8}",
        description in "\\PC{0,60}",
    ) {
        let mut text = WHOLE.replace("Says \"no\" to \\ some", &description.replace('\'', ""));
        if text.is_char_boundary(cut) {
            text.insert_str(cut, &insert);
        }
        if let Ok(manifest) = Manifest::parse(text.as_bytes()) {
            let canonical = manifest.canonical();
            prop_assert_eq!(Manifest::parse_canonical(canonical.as_bytes()).unwrap(), manifest);
        }
    }
}
