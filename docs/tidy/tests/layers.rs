//! Who may depend on whom: the table of `ARCHITECTURE.md` against `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use blockhouse_tidy::{Crate, crates, read};

/// What wires everything below it, and stands in no row.
const WIRING: [(&str, u32); 4] = [("broker", 5), ("namesrv", 5), ("blockhouse", 6), ("tidy", 6)];

struct Row {
    layer: u32,
    dependencies: BTreeSet<String>,
}

fn table() -> anyhow::Result<BTreeMap<String, Row>> {
    let page = read("ARCHITECTURE.md")?;
    let block = page.split_once("```layers\n").and_then(|(_, rest)| rest.split_once("\n```"));
    let (block, _) = block.context("ARCHITECTURE.md has no layers block")?;
    let mut table = BTreeMap::new();
    for line in block.lines() {
        let (layer, rest) = line.split_once(' ').with_context(|| line.to_owned())?;
        let (name, dependencies) = rest.split_once(':').with_context(|| line.to_owned())?;
        let dependencies = dependencies.split_whitespace().map(str::to_owned).collect();
        table.insert(name.to_owned(), Row { layer: layer.parse()?, dependencies });
    }
    Ok(table)
}

fn layer(table: &BTreeMap<String, Row>, name: &str) -> Option<u32> {
    let wiring = WIRING.iter().find(|(wiring, _)| *wiring == name).map(|(_, layer)| *layer);
    wiring.or_else(|| table.get(name).map(|row| row.layer))
}

fn problems(table: &BTreeMap<String, Row>, krate: &Crate) -> Vec<String> {
    let name = &krate.name;
    let Some(own) = layer(table, name) else {
        return vec![format!("{name} is not in the table")];
    };
    let mut problems = Vec::new();
    for dependency in &krate.dependencies {
        match layer(table, dependency) {
            Some(below) if below < own => {}
            Some(_) => problems.push(format!("{name} depends on {dependency}, which is no lower")),
            None => problems.push(format!("{name} depends on {dependency}, not in the table")),
        }
    }
    if let Some(row) = table.get(name) {
        let mut used = krate.dependencies.clone();
        used.remove("model");
        for extra in used.difference(&row.dependencies) {
            problems.push(format!("{name} depends on {extra}, which its row does not list"));
        }
        for missing in row.dependencies.difference(&used) {
            problems.push(format!("the row of {name} lists {missing}, which it does not use"));
        }
    }
    problems
}

#[test]
fn crates_depend_on_what_their_row_lists_and_only_downwards() {
    let (table, crates) = (table().unwrap(), crates().unwrap());
    let mut problems: Vec<_> = crates.iter().flat_map(|c| problems(&table, c)).collect();
    for name in table.keys() {
        if !crates.iter().any(|c| c.name == *name) {
            problems.push(format!("the table has a row for {name}, which is no crate"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn members_are_listed_lowest_layer_first() {
    let (table, crates) = (table().unwrap(), crates().unwrap());
    let layers: Vec<_> = crates.iter().map(|c| (layer(&table, &c.name), &c.name)).collect();
    for pair in layers.windows(2) {
        assert!(pair[0].0 <= pair[1].0, "{} is listed before {}", pair[0].1, pair[1].1);
    }
}
