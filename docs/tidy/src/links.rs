//! Where links of pages lead.

use std::path::{Component, Path, PathBuf};

use crate::{read, root};

/// A heading as the part of an address after `#`.
#[must_use]
pub fn anchor(heading: &str) -> String {
    let lower = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Whether a link of a page leads nowhere: no such file in the repository, or no such heading in it.
#[must_use]
pub fn is_broken(page: &Path, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return false;
    }
    let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        page.to_owned()
    } else {
        page.parent().unwrap_or(Path::new("")).join(file)
    };
    let mut inside = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if !inside.pop() => return true,
            Component::ParentDir => {}
            other => inside.push(other),
        }
    }
    if !root().join(&inside).exists() {
        return true;
    }
    let headings = || {
        let text = read(&inside).unwrap_or_default();
        text.lines().filter(|l| l.starts_with('#')).map(anchor).collect::<Vec<_>>()
    };
    !fragment.is_empty() && !headings().contains(&fragment.to_owned())
}
