//! The files of a new plugin, put together of what is in `plugins/templates/rust`.
//!
//! Each hook has a piece of its own: what it takes from the SDK, its field in the configuration,
//! its code, and its test.

use std::collections::BTreeSet;

use blockhouse_host::Interface;

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/templates/rust/", $name))
    };
}

/// The names of all files with their contents.
pub(super) fn render(name: &str, sdk: &str, hooks: &[Interface]) -> Vec<(String, String)> {
    let names: Vec<&str> = hooks.iter().map(|hook| hook.name()).collect();
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{sdk}}", &sdk.replace('\\', "\\\\").replace('"', "\\\""))
            .replace("{{hooks}}", &quoted.join(", "))
            .replace("{{list}}", &names.join(", "))
    };
    let mut files = vec![
        ("Cargo.toml".to_owned(), fill(template!("Cargo.toml.txt"))),
        ("plugin.toml".to_owned(), fill(template!("plugin.toml.txt"))),
        ("README.md".to_owned(), fill(template!("README.md.txt"))),
        (".gitignore".to_owned(), "/target\n*.wasm\n".to_owned()),
        ("src/lib.rs".to_owned(), source(hooks)),
    ];
    let cases = hooks.iter().filter_map(|hook| Some((hook, cases(*hook)?)));
    files.extend(cases.map(|(hook, text)| (format!("cases/{hook}.toml"), text.to_owned())));
    files
}

fn source(hooks: &[Interface]) -> String {
    let pieces: Vec<Piece<'_>> = hooks.iter().map(|hook| Piece::of(piece(*hook))).collect();
    let mut taken: BTreeSet<&str> = BTreeSet::from(["Node", "Plugin"]);
    pieces.iter().for_each(|piece| taken.extend(piece.taken.split(", ")));
    let joined = |part: fn(&Piece<'_>) -> String, between: &str| {
        pieces.iter().map(part).collect::<Vec<_>>().join(between)
    };
    let exports: Vec<String> = hooks.iter().map(|hook| hook.name().replace('-', "_")).collect();
    let names: Vec<&str> = hooks.iter().map(|hook| hook.name()).collect();
    template!("lib.rs")
        .replace("{{list}}", &names.join(", "))
        .replace("{{use}}", &uses(&taken))
        .replace("{{fields}}", &joined(|piece| indented(piece.field), "\n"))
        .replace("{{hooks}}", &joined(|piece| format!("{}\n", piece.code), "\n"))
        .replace("{{exports}}", &exports.join(", "))
        .replace("{{tests}}", &joined(|piece| indented(piece.test), "\n\n"))
}

/// The `use` of all that is taken, as rustfmt has it.
fn uses(taken: &BTreeSet<&str>) -> String {
    // Modules before types, as rustfmt sorts.
    let is_type = |name: &&&str| name.starts_with(|c: char| c.is_ascii_uppercase());
    let modules = taken.iter().filter(|name| !is_type(name));
    let types = taken.iter().filter(is_type);
    let names: Vec<&str> = types.chain(modules).copied().collect();
    let line = format!("use blockhouse_plugin::{{{}}};", names.join(", "));
    if line.len() <= 100 {
        return line;
    }
    let mut lines = vec![String::new()];
    for name in names {
        let is_full = lines.last().is_some_and(|line| line.len() + name.len() + 2 > 95);
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            let space = if line.is_empty() { "" } else { " " };
            line.push_str(&format!("{space}{name},"));
        }
    }
    let body: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!("use blockhouse_plugin::{{\n{body}}};")
}

fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { String::new() } else { format!("    {line}") };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The parts of a hook's piece.
struct Piece<'a> {
    taken: &'a str,
    field: &'a str,
    code: &'a str,
    test: &'a str,
}

impl<'a> Piece<'a> {
    fn of(text: &'a str) -> Self {
        let (taken, rest) = text.split_once('\n').unwrap_or_default();
        let (field, rest) = rest.split_once("\n// code\n").unwrap_or_default();
        let (code, test) = rest.split_once("\n// test\n").unwrap_or_default();
        Self { taken: taken.trim_start_matches("// use: "), field, code, test: test.trim_end() }
    }
}

const fn piece(hook: Interface) -> &'static str {
    match hook {
        Interface::Connection => template!("hooks/connection.rs"),
        Interface::Authenticate => template!("hooks/authenticate.rs"),
        Interface::Authorize => template!("hooks/authorize.rs"),
        Interface::BeforeSend => template!("hooks/before-send.rs"),
        Interface::AfterAppend => template!("hooks/after-append.rs"),
        Interface::Pull => template!("hooks/pull.rs"),
        Interface::BeforeDeliver => template!("hooks/before-deliver.rs"),
        Interface::Ack => template!("hooks/ack.rs"),
        Interface::AdminCommand => template!("hooks/admin-command.rs"),
        Interface::BrokerRegistration => template!("hooks/broker-registration.rs"),
        Interface::RouteQuery => template!("hooks/route-query.rs"),
        Interface::EnrichSpan => template!("hooks/enrich-span.rs"),
        Interface::AuditSink => template!("hooks/audit-sink.rs"),
    }
}

/// The cases for `plugin test`, for hooks that it can run.
const fn cases(hook: Interface) -> Option<&'static str> {
    match hook {
        Interface::BeforeSend => Some(template!("before-send.cases.toml")),
        Interface::BeforeDeliver => Some(template!("before-deliver.cases.toml")),
        Interface::EnrichSpan => Some(template!("enrich-span.cases.toml")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_has_all_parts_of_its_piece() {
        for hook in Interface::ALL {
            let piece = Piece::of(piece(hook));
            for part in [piece.taken, piece.field, piece.code, piece.test] {
                assert!(!part.is_empty(), "{hook}");
            }
            assert!(piece.field.starts_with("///") && piece.test.starts_with("#[test]"), "{hook}");
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for (name, text) in render("orders-guard", "/sdk", &Interface::ALL) {
            assert!(!text.contains("{{"), "{name}: {text}");
        }
    }
}
