//! What Prometheus and Grafana are given: metrics that there are, explanations, links that lead
//! somewhere. `sdk/interop/telemetry` has it run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use blockhouse_meter::{CATALOGUE, Kind, Stability};
use blockhouse_tidy::links::is_broken;
use blockhouse_tidy::{files, read, root};
use serde_json::Value;

fn below(dir: &str, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let all = files(extension)?.into_iter();
    let found: Vec<PathBuf> = all.filter(|file| file.starts_with(dir)).collect();
    anyhow::ensure!(!found.is_empty(), "{dir}: nothing ends in .{extension}");
    Ok(found)
}

fn boards() -> anyhow::Result<Vec<(String, Value)>> {
    let parsed =
        |file: PathBuf| Ok((file.display().to_string(), serde_json::from_str(&read(&file)?)?));
    below("dashboards/grafana", "json")?.into_iter().map(parsed).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// As the catalogue names one that stays as it is, or a part of one of its histograms.
fn is_stable(word: &str) -> bool {
    let parts = ["_bucket", "_sum", "_count"];
    let stable = CATALOGUE.iter().filter(|metric| metric.stability == Stability::Stable);
    stable.into_iter().any(|metric| {
        let part = word.strip_prefix(metric.name).unwrap_or("no");
        part.is_empty() || (metric.kind == Kind::Histogram && parts.contains(&part))
    })
}

#[test]
fn alerts_and_panels_are_about_metrics_that_there_are_and_that_stay() {
    let rules = below("dashboards/prometheus", "yml").unwrap();
    for file in rules.into_iter().chain(below("dashboards/grafana", "json").unwrap()) {
        let text = read(&file).unwrap();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let ours = |word: &&str| word.starts_with("blockhouse_") || word.starts_with("rocketmq_");
        let words: BTreeSet<&str> = text.split(|c| !is_part(c)).filter(ours).collect();
        assert!(!words.is_empty(), "{}", file.display());
        // Plugins name these.
        for word in words.iter().filter(|word| !word.starts_with("blockhouse_plugin_custom_")) {
            assert!(is_stable(word), "{}: {word}", file.display());
        }
    }
}

/// The words that follow a key, at each line that begins with it.
fn after<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim_start().strip_prefix(key)).map(str::trim)
}

#[test]
fn every_alert_has_a_runbook_and_tests_in_which_it_fires_and_is_silent() {
    let is_rules = |file: &PathBuf| file.to_string_lossy().ends_with(".rules.yml");
    for file in below("dashboards/prometheus", "yml").unwrap().into_iter().filter(is_rules) {
        let text = read(&file).unwrap();
        let tests = read(file.with_extension("test.yml")).unwrap();
        let fires = |alert: &str| {
            let named = format!("alertname: {alert}\n        exp_alerts:\n          - exp_labels:");
            tests.contains(&named)
        };
        let alerts: Vec<&str> = after(&text, "- alert:").collect();
        assert!(!alerts.is_empty(), "{}", file.display());
        for alert in &alerts {
            assert!(fires(alert), "{}: {alert} fires in no test", file.display());
            let silent = format!("alertname: {alert}, exp_alerts: []");
            assert!(tests.contains(&silent), "{}: {alert} is silent in no test", file.display());
        }
        let runbooks: Vec<&str> = after(&text, "runbook:").collect();
        assert_eq!(runbooks.len(), alerts.len(), "{}: an alert without a runbook", file.display());
        for runbook in runbooks {
            let target = runbook.trim_matches('"');
            assert!(!is_broken(Path::new("README.md"), target), "{}: {target}", file.display());
        }
    }
}

#[test]
fn every_panel_is_explained_and_has_a_place_of_its_own() {
    for (file, board) in boards().unwrap() {
        let mut ids = BTreeSet::new();
        let mut taken = BTreeSet::new();
        for panel in list(&board, "panels") {
            let title = text(panel, "title");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}: {title}: its id");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{file}: {title} is too wide");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{file}: {title} lies over another");
                }
            }
            if text(panel, "type") == "row" {
                continue;
            }
            assert!(!text(panel, "description").is_empty(), "{file}: {title}: no description");
            let asks_prometheus = text(&panel["datasource"], "type") == "prometheus";
            let unit = text(&panel["fieldConfig"]["defaults"], "unit");
            assert!(!asks_prometheus || !unit.is_empty(), "{file}: {title}: no unit");
        }
    }
}

/// All texts of a value that are at this key.
fn at_key<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                found.extend(inner.as_str().filter(|_| name == key));
                at_key(inner, key, found);
            }
        }
        Value::Array(all) => all.iter().for_each(|inner| at_key(inner, key, found)),
        _ => {}
    }
}

#[test]
fn links_of_dashboards_lead_to_dashboards_and_runbooks() {
    let boards = boards().unwrap();
    let uids: BTreeSet<&str> = boards.iter().map(|(_, board)| text(board, "uid")).collect();
    assert_eq!(uids.len(), boards.len(), "a uid is there twice");
    for (file, board) in &boards {
        let mut urls = Vec::new();
        at_key(board, "url", &mut urls);
        assert!(urls.len() > 1, "{file} has no links");
        for url in urls.into_iter().filter(|url| !url.is_empty() && !url.starts_with("/explore?")) {
            if let Some(page) = url.strip_prefix("${docs}/") {
                assert!(!is_broken(Path::new("docs/x.md"), page), "{file}: {url}");
                continue;
            }
            let uid = url.strip_prefix("/d/").and_then(|rest| rest.split('?').next());
            assert!(uid.is_some_and(|uid| uids.contains(uid)), "{file}: {url}");
        }
        let links = list(board, "links");
        let others = links.iter().any(|link| text(link, "type") == "dashboards");
        assert!(others, "{file}: no way to the other dashboards");
    }
}

#[test]
fn what_the_stack_mounts_is_there() {
    let dir = Path::new("dashboards/stack");
    let text = read(dir.join("compose.yml")).unwrap();
    let mounts: Vec<&str> = after(&text, "- .").filter_map(|rest| rest.split(':').next()).collect();
    assert!(mounts.len() > 5, "{mounts:?}");
    for mount in mounts {
        assert!(root().join(dir).join(format!(".{mount}")).exists(), "compose.yml: .{mount}");
    }
}
