//! What `--help` says, of every subcommand.

use std::path::Path;

use blockhouse_disk::{RealDisk, whole};
use clap::{Command, CommandFactory as _, Parser as _};

use super::Cli;

/// A usual terminal, the widest that texts are laid out for, and a wider one.
const WIDTHS: [usize; 3] = [80, 100, 120];

/// All commands that people see, each with its whole name.
fn commands() -> Vec<(String, Command)> {
    let mut root = Cli::command();
    root.build();
    let mut all = Vec::new();
    let mut left = vec![("blockhouse".to_owned(), root)];
    while let Some((name, command)) = left.pop() {
        let visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let below = visible.filter(|sub| sub.get_name() != "help");
        left.extend(below.map(|sub| (format!("{name} {}", sub.get_name()), sub.clone())));
        all.push((name, command));
    }
    all
}

fn help(command: &Command, width: usize) -> String {
    command.clone().term_width(width).render_long_help().to_string()
}

/// What stands behind the options: examples, which are indented, and texts.
fn after(command: &Command) -> String {
    let text = command.get_after_long_help().or_else(|| command.get_after_help());
    text.map(ToString::to_string).unwrap_or_default()
}

#[test]
fn examples_are_not_broken_and_texts_are_wrapped_once() {
    let all = commands();
    assert!(all.len() > 60, "{}", all.len());
    for (name, command) in &all {
        let after = after(command);
        let lines: Vec<&str> = after.lines().collect();
        for pair in lines.windows(2) {
            let is_text = |line: &str| !line.is_empty() && !line.starts_with(' ');
            let is_wrapped = is_text(pair[0]) && is_text(pair[1]);
            assert!(!is_wrapped, "{name}: the terminal wraps this again: {pair:?}");
        }
        for width in WIDTHS {
            let help = help(command, width);
            let whole = |line: &&&str| help.lines().any(|shown| shown.trim_end() == **line);
            let mut examples = lines.iter().filter(|line| line.starts_with(' '));
            let broken = examples.find(|line| !whole(line));
            assert_eq!(broken, None, "{name}: an example is broken at {width} columns");
            // Nobody wraps how a command is called.
            let mut wrapped = help.lines().filter(|line| !line.starts_with("Usage:"));
            let wide = wrapped.find(|line| line.chars().count() > width);
            assert_eq!(wide, None, "{name} at {width} columns");
        }
    }
}

#[test]
fn every_example_can_be_typed() {
    let mut typed = 0;
    for (name, command) in commands() {
        for line in examples(&after(&command)) {
            let words = words(&line);
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{name}: {words:?}: {error}");
            }
            typed += 1;
        }
    }
    assert!(typed > 90, "{typed}");
}

/// What is fenced in README.md and in the pages of docs/, by page.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = root.join("docs").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let fenced = |path: &Path| {
        let page = String::from_utf8(whole::read(&RealDisk, path).unwrap().unwrap()).unwrap();
        let (mut text, mut is_fenced) = (String::new(), false);
        for line in page.lines() {
            if line.trim_start().starts_with("```") {
                is_fenced = !is_fenced;
            } else if is_fenced {
                text.push_str(&format!(" {line}\n"));
            }
        }
        text
    };
    let told = |path: std::path::PathBuf| (path.display().to_string(), fenced(&path));
    pages.chain([root.join("README.md")]).map(told).collect()
}

#[test]
fn every_command_of_the_pages_can_be_typed() {
    let mut typed = 0;
    for (page, text) in pages() {
        // What may be left out, or is left out here, is no command, nor is who is told of the program.
        let is_form = |line: &String| {
            line.contains('[') || line.contains(" ... ") || line.contains(" --guests ")
        };
        for line in examples(&text).into_iter().filter(|line| !is_form(line)) {
            let words = words(&line.replace("pid=PID", "pid=1"));
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{page}: {words:?}: {error}");
            }
            typed += 1;
        }
    }
    assert!(typed > 70, "{typed}");
}

#[test]
fn options_that_a_command_does_not_use_are_not_shown() {
    let all = commands();
    let of = |name: &str| {
        let found = all.iter().find(|(found, _)| found == name);
        help(&found.unwrap_or_else(|| panic!("{name} is not there")).1, 100)
    };
    for what in ["", " stat", " check", " repair", " dump"] {
        let help = of(&format!("blockhouse admin store{what}"));
        assert!(help.contains("--json"), "{help}");
        for option in ["--namesrv", "--timeout-ms", "--tls", "TLS:", "--access-key"] {
            assert!(!help.contains(option), "{what} {option}: {help}");
        }
    }
    for what in ["log", "telemetry", "refusals"] {
        let help = of(&format!("blockhouse admin {what}"));
        assert!(!help.contains("--namesrv") && help.contains("--tls-ca"), "{help}");
    }
    assert!(of("blockhouse admin topics").contains("--namesrv"));
}

/// Lines of examples that run the program, without what continues them on the next line.
fn examples(after: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in after.lines().filter(|line| line.starts_with(' ')).map(str::trim) {
        let (text, more) = line.strip_suffix('\\').map_or((line, false), |text| (text, true));
        match all.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(text),
            None => all.push(text.to_owned()),
        }
        goes_on = more;
    }
    let of_ours = |line: String| {
        let at = line.find("blockhouse ")?;
        let is_program = line.get(..at)?.chars().last().is_none_or(|c| " /".contains(c));
        line.get(at..).filter(|_| is_program).map(str::to_owned)
    };
    all.into_iter().filter(|line| !line.starts_with('#')).filter_map(of_ours).collect()
}

/// As a shell splits a line, up to a pipe, a redirection, another command or a comment. What a command prints is a number.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '|' | '>' | '&' | ';') => break,
            (None, '#') if word.is_empty() => break,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, '$') if chars.peek() == Some(&'(') => {
                chars.by_ref().find(|c| *c == ')');
                word.push('1');
            }
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}
