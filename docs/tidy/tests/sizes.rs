//! How large files and impl blocks may grow. Functions are measured by clippy.

use std::collections::BTreeMap;

use anyhow::Context as _;
use blockhouse_tidy::{files, read};

const FILE_LINES_MAX: usize = 600;
const IMPL_LINES_MAX: usize = 300;
/// How many exceptions there are. Lower it when one goes; do not raise it.
const EXCEPTIONS: usize = 0;

/// All lines but those of items that only tests have. The code is formatted, so that an item ends
/// with the first line of its own indent that closes a brace, or with a line that ends in `;`.
fn production(text: &str) -> impl Iterator<Item = &str> {
    let mut test_item: Option<usize> = None;
    text.lines().filter(move |line| {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        match test_item {
            None if code == "#[cfg(test)]" => test_item = Some(indent),
            None => return true,
            Some(start) => {
                let ends = code.starts_with('}') || code.ends_with(['}', ';']);
                if indent == start && ends && !code.starts_with("#[") {
                    test_item = None;
                }
            }
        }
        false
    })
}

/// The longest impl block: its first line and its length. The code is formatted, so that a block
/// ends with the first brace that is indented like its start.
fn longest_impl(text: &str) -> Option<(String, usize)> {
    let lines: Vec<&str> = production(text).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let starts = lines.iter().enumerate().filter(|(_, line)| {
        let code = line.trim_start();
        code.starts_with("impl ") || code.starts_with("impl<")
    });
    let blocks = starts.filter_map(|(at, line)| {
        let same = |end: &&str| end.trim() == "}" && indent(end) == indent(line);
        let len = lines.iter().skip(at).position(same)?;
        Some(((*line).trim().to_owned(), len + 1))
    });
    blocks.max_by_key(|(_, len)| *len)
}

/// `lines PATH N` and `impl PATH N`, with the reason after it.
fn exceptions() -> anyhow::Result<BTreeMap<(String, String), usize>> {
    let text = read("docs/tidy/exceptions.txt")?;
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, path, limit, _reason, ..] = words[..] else {
            anyhow::bail!("`{line}` should be: kind path limit reason");
        };
        let limit = limit.parse().with_context(|| line.to_owned())?;
        all.insert((kind.to_owned(), path.to_owned()), limit);
    }
    Ok(all)
}

#[test]
fn no_file_and_no_impl_block_is_too_long() {
    let mut exceptions = exceptions().unwrap();
    assert_eq!(exceptions.len(), EXCEPTIONS, "exceptions may only become fewer");
    let mut problems = Vec::new();
    for path in files("rs").unwrap() {
        let text = read(&path).unwrap();
        let name = path.display().to_string();
        let mut judge = |kind: &str, what: String, len: usize, max: usize| {
            let excepted = exceptions.remove(&(kind.to_owned(), name.clone()));
            match excepted {
                Some(limit) if len > limit => problems.push(format!("{what}: {len} > {limit}")),
                Some(limit) if len < limit => {
                    problems.push(format!("{what}: lower its exception to {len}"));
                }
                None if len > max => problems.push(format!("{what}: {len} lines, at most {max}")),
                _ => {}
            }
        };
        judge("lines", name.clone(), production(&text).count(), FILE_LINES_MAX);
        if let Some((block, len)) = longest_impl(&text) {
            judge("impl", format!("{name}: {block}"), len, IMPL_LINES_MAX);
        }
    }
    problems.extend(exceptions.keys().map(|(kind, path)| format!("no such file: {kind} {path}")));
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn impl_blocks_are_measured() {
    let text = "impl A {\n    fn f() {\n    }\n}\n\nimpl<T> B<T> {\n}\n#[cfg(test)]\nimpl C {\n\n\n\n\n}\n";
    assert_eq!(longest_impl(text), Some(("impl A {".to_owned(), 4)));
    assert_eq!(production(text).count(), 7);
}

#[test]
fn only_what_tests_alone_have_is_not_counted() {
    let text = "one\n#[cfg(test)]\n#[derive(Debug)]\npub fn f() {\n    x;\n}\ntwo\n    #[cfg(test)]\n    use a::b;\n    three\n";
    assert_eq!(production(text).collect::<Vec<_>>(), ["one", "two", "    three"]);
}
