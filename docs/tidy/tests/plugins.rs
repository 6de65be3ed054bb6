//! The contract of plugins has an interface for each hook point, says what every part of it is, and
//! has its rows in the pages.

use std::path::Path;

use blockhouse_hook::Point;
use blockhouse_tidy::{files, read};

const CONTRACT: &str = "plugins/wit/0.1.0";

/// `BeforeSend` as `before-send`.
fn kebab(point: Point) -> String {
    let mut name = String::new();
    for c in format!("{point:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// The interface and the function that a point is called through.
fn place(point: Point) -> (String, String) {
    let name = kebab(point);
    match point {
        Point::Lifecycle => (name, "process-changed".to_owned()),
        Point::AuditSink => (name, "audit".to_owned()),
        Point::ConnectionOpened | Point::ConnectionClosed => {
            let (interface, function) = name.split_once('-').unwrap_or_default();
            (interface.to_owned(), function.to_owned())
        }
        _ => (name.clone(), name),
    }
}

/// The names of one kind in the contract: `interface NAME {`, `export NAME;`, `import NAME;`.
fn named(text: &str, kind: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix(kind));
    lines.map(|rest| rest.trim().trim_end_matches([';', '{', ' ']).to_owned()).collect()
}

/// The world of everything, from its head to its end.
fn world_of_all(worlds: &str) -> &str {
    let (_, rest) = worlds.split_once("world plugin {").unwrap_or_default();
    rest.split_once("\n}").unwrap_or_default().0
}

/// What stands under a heading, up to the next heading of the same rank.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_default();
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

/// What the first cells of tables name, without backquotes; a cell may name several.
fn first_cells(page: &str) -> Vec<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" |").next());
    cells.flat_map(|cell| cell.split(", ")).map(|name| name.replace('`', "")).collect()
}

/// The parts of a WIT file that have no `///` line right before them. Parameters on lines of their
/// own belong to their function.
fn undocumented(text: &str) -> Vec<&str> {
    let mut missing = Vec::new();
    let (mut documented, mut open) = (false, 0);
    for line in text.lines() {
        let code = line.trim();
        let comment = code.starts_with("///");
        let closes = code.starts_with(['}', ')']);
        let plain = ["package ", "use ", "import ", "export "].iter().any(|p| code.starts_with(p));
        if !code.is_empty() && !comment && !closes && !plain && open == 0 && !documented {
            missing.push(code);
        }
        documented = comment;
        if !comment {
            open += code.matches('(').count();
            open -= code.matches(')').count();
        }
    }
    missing
}

#[test]
fn every_point_has_its_interface_and_its_row() {
    let page = read("docs/hooks.md").unwrap();
    let tables = ["When each point runs", "Order", "Failures"]
        .map(|heading| (heading, first_cells(section(&page, heading))));
    let worlds = read(Path::new(CONTRACT).join("worlds.wit")).unwrap();
    let exports = named(world_of_all(&worlds), "export ");
    for point in Point::ALL {
        let (interface, function) = place(point);
        let text = read(Path::new(CONTRACT).join(format!("{interface}.wit"))).unwrap();
        assert!(text.contains(&format!("    {function}: func(")), "{interface}.{function}");
        assert!(exports.contains(&interface), "world plugin does not export {interface}");
        let row = kebab(point).replace('-', " ");
        for (heading, rows) in &tables {
            let count = rows.iter().filter(|named| **named == row).count();
            assert_eq!(count, 1, "docs/hooks.md, {heading}: rows that name `{row}`");
        }
    }
}

#[test]
fn every_interface_has_its_file_its_place_in_the_world_and_its_row() {
    let worlds = read(Path::new(CONTRACT).join("worlds.wit")).unwrap();
    let all = world_of_all(&worlds);
    let rows = first_cells(section(&read("docs/plugins.md").unwrap(), "The interfaces"));
    let mut seen = 0;
    for path in files("wit").unwrap() {
        let text = read(&path).unwrap();
        assert!(text.starts_with("package blockhouse:plugin@0.1.0;\n"), "{}", path.display());
        let stem = path.file_stem().unwrap().to_string_lossy();
        if stem == "worlds" {
            continue;
        }
        assert_eq!(named(&text, "interface "), [stem.as_ref()], "one interface per file");
        if stem != "types" {
            let ways = ["import", "export"].iter();
            let found = ways.filter(|way| all.contains(&format!("    {way} {stem};"))).count();
            assert_eq!(found, 1, "world plugin imports or exports {stem}");
            assert!(rows.iter().any(|row| row == &stem), "docs/plugins.md has no row `{stem}`");
        }
        seen += 1;
    }
    assert!(seen > 20, "{seen} interfaces");
}

#[test]
fn every_part_of_the_contract_says_what_it_is() {
    for path in files("wit").unwrap() {
        let text = read(&path).unwrap();
        assert_eq!(undocumented(&text), [""; 0], "{}", path.display());
    }
}

#[test]
fn parts_without_words_are_found() {
    let text = "package a:b;\n\n/// Said.\ninterface c {\n    use d.{e};\n\n    /// Said.\n    record f {\n        \
                g: u32,\n    }\n\n    /// Said.\n    h: func(\n        i: u32,\n    ) -> u32;\n    j: func();\n}\n";
    assert_eq!(undocumented(text), ["g: u32,", "j: func();"]);
}
