//! The reference page of a configuration type.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::merge::expected;
use super::shape::{OptionShape, Shape};
use super::show::toml_value;

impl Shape {
    /// Markdown: a heading per section, a row per option.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut sections: BTreeMap<&str, Vec<(&str, &OptionShape)>> = BTreeMap::new();
        for (path, option) in &self.options {
            let section = path.rsplit_once('.').map_or("", |(section, _)| section);
            sections.entry(section).or_default().push((path, option));
        }
        let mut out = String::new();
        for (section, options) in sections {
            let _infallible = writeln!(out, "\n## [{section}]\n");
            if let Some(help) = self.sections.get(section).filter(|help| !help.is_empty()) {
                let _infallible = writeln!(out, "{}\n", one_line(help));
            }
            out.push_str("| option | takes | default | what it does |\n|---|---|---|---|\n");
            for (path, option) in options {
                let name = path.rsplit('.').next().unwrap_or(path);
                let default = toml_value(&option.default);
                let takes = cell(&expected(path, option));
                let help = cell(&one_line(&option.help));
                let _infallible = writeln!(out, "| `{name}` | {takes} | `{default}` | {help} |");
            }
        }
        out
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
