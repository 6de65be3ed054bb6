//! The model: fixed, since the index answers for this one only.

use crate::config::Mode;
use crate::files::{File, MODEL};
use crate::problem::Refused;

/// Sections in the order of the file, each with what it says; comments and blanks do not count.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines().map(str::trim) {
        let plain: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        if plain.is_empty() || plain.starts_with('#') {
            continue;
        }
        match (plain.strip_prefix('['), sections.last_mut()) {
            (Some(name), _) => {
                sections.push((name.trim_end_matches(']').to_owned(), String::new()));
            }
            (None, Some((_, content))) => {
                content.push_str(&plain);
                content.push('\n');
            }
            (None, None) => sections.push((String::new(), plain)),
        }
    }
    sections.sort();
    sections
}

/// Refuses every model but the one of `mode`.
pub(crate) fn check(file: Option<&File>, mode: Mode) -> Result<(), Refused> {
    let Some(file) = file else { return Ok(()) };
    let given = sections(&file.text);
    if given == sections(mode.model()) {
        return Ok(());
    }
    let other = [Mode::DenyOverride, Mode::Acl2].into_iter().find(|m| given == sections(m.model()));
    if let Some(other) = other {
        let (other, mode) = (other.name(), mode.name());
        let reason = format!("this is the model of mode {other}, and the mode is {mode}");
        return Err(Refused::one(MODEL, reason));
    }
    let ours = sections(mode.model());
    let differs = ours.iter().find(|section| !given.contains(section));
    let section = differs.map_or("an additional section", |(name, _)| name.as_str());
    let reason = format!(
        "only the model that Blockhouse ships is taken, and this one differs ({section}): its decisions are compiled, \
         and another matcher or effect would not be what is enforced; leave the file out, or copy policies/model.conf"
    );
    Err(Refused::one(MODEL, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str, mode: Mode) -> String {
        let file = File { name: MODEL.to_owned(), text: text.to_owned() };
        check(Some(&file), mode).map_err(|e| e.to_string()).err().unwrap_or_default()
    }

    #[test]
    fn only_our_model_is_taken() {
        let ours = Mode::DenyOverride.model();
        let spaced = ours.replace("= r", "=   r").replace("[matchers]", "# ours\n[matchers]");
        assert_eq!(checked(&spaced, Mode::DenyOverride), "");
        assert_eq!(check(None, Mode::Acl2), Ok(()));
        assert!(checked(ours, Mode::Acl2).contains("the model of mode deny-override"));
        let open = ours.replace("some(where (p.eft == allow)) && ", "");
        assert!(checked(&open, Mode::DenyOverride).contains("(policy_effect)"));
        let wide = ours.replace("r.dom == p.dom", "true");
        assert!(checked(&wide, Mode::DenyOverride).contains("(matchers)"));
        assert!(
            checked(&format!("{ours}\n[more]\na = b\n"), Mode::DenyOverride).contains("additional")
        );
        assert!(checked("", Mode::DenyOverride).contains("only the model"));
    }
}
