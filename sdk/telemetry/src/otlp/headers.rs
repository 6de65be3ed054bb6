//! Headers of requests: those of the configuration, and those that come out of somewhere else, which may
//! change and are no business of the configuration.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// Further headers, those of the moment. It is asked before each request, where it may wait for the disk.
pub type Secrets = Arc<dyn Fn() -> HeaderMap + Send + Sync>;

/// Adds `name=value`; `None` if that is none.
fn add(all: &mut HeaderMap, header: &str) -> Option<()> {
    let (name, value) = header.split_once('=')?;
    let name: HeaderName = name.trim().to_ascii_lowercase().parse().ok()?;
    let value: HeaderValue = value.trim().parse().ok()?;
    // A header of gRPC whose name ends like this holds base64 of something else.
    if name.as_str().ends_with("-bin") || value.to_str().is_err() {
        return None;
    }
    all.append(name, value);
    Some(())
}

/// The headers of a list; `None` if one is none.
pub(super) fn of_list(list: &[String]) -> Option<HeaderMap> {
    let mut all = HeaderMap::new();
    list.iter().try_for_each(|header| add(&mut all, header))?;
    Some(all)
}

/// The headers of a file: `name=value` in each line but those that are empty or begin with `#`. Their values
/// are not shown by whoever prints the map.
///
/// # Errors
/// A sentence that names the line, and nothing of what is in it.
pub fn of_text(text: &str) -> Result<HeaderMap, String> {
    let mut all = HeaderMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            add(&mut all, line).ok_or_else(|| format!("line {} must be name=value", at + 1))?;
        }
    }
    all.values_mut().for_each(|value| value.set_sensitive(true));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_header_in_each_line_and_does_not_tell_them() {
        let text = "# of the collector\n\nAuthorization = Bearer a=b\r\nX-Scope-OrgID=1\n";
        let headers = of_text(text).unwrap();
        assert_eq!(headers.get("authorization").unwrap(), "Bearer a=b");
        assert_eq!(
            (headers.len(), headers.get("x-scope-orgid").unwrap().as_bytes()),
            (2, &b"1"[..])
        );
        assert!(!format!("{headers:?}").contains("Bearer"), "{headers:?}");
        for (wrong, line) in
            [("a=b\nsecret", 2), ("a b=secret", 1), ("\n\na-bin=secret", 3), ("a=secr\u{e9}t", 1)]
        {
            let told = of_text(wrong).unwrap_err();
            assert_eq!(told, format!("line {line} must be name=value"));
        }
    }
}
