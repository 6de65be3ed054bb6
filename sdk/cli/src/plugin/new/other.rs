//! The files of a new plugin in another language than Rust, from `plugins/templates/LANGUAGE`.
//!
//! A source is one text for all hooks. What belongs to one of them stands between a line that ends
//! in `@if HOOK` and one that ends in `@end`.

use blockhouse_build::Language;
use blockhouse_host::Interface;

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/templates/", $name))
    };
}

/// The hooks that the templates serve.
const HOOKS: [Interface; 2] = [Interface::BeforeSend, Interface::AfterAppend];

/// The hook that a plugin has where none is named. Engines for scripts, and a garbage collector, are
/// better kept beside the path of the messages.
pub(super) const fn usual_hook(language: Language) -> Interface {
    match language {
        Language::Rust | Language::C => Interface::BeforeSend,
        Language::Go | Language::JavaScript | Language::Python => Interface::AfterAppend,
    }
}

/// What to type after `new`, before `blockhouse plugin build`.
pub(super) const fn prepare(language: Language) -> &'static str {
    match language {
        Language::Rust => "cargo test",
        Language::C => "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32",
        Language::Go => "go version",
        Language::JavaScript => "npm install",
        Language::Python => {
            "python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1"
        }
    }
}

/// The names of all files with their contents; for a hook that the templates do not serve, why.
pub(super) fn render(
    language: Language,
    name: &str,
    hooks: &[Interface],
) -> Result<Vec<(String, String)>, String> {
    if let Some(hook) = hooks.iter().find(|hook| !HOOKS.contains(hook)) {
        let served = HOOKS.map(Interface::name).join(" and ");
        return Err(format!(
            "the template in {} serves {served}; write {hook} by hand, from what the contract says \
             of it, and name it in plugin.toml",
            language.name()
        ));
    }
    let names: Vec<&str> = hooks.iter().map(|hook| hook.name()).collect();
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{hooks}}", &quoted.join(", "))
            .replace("{{list}}", &names.join(", "))
    };
    let mut written: Vec<(String, String)> = files(language)
        .iter()
        .map(|(name, text)| ((*name).to_owned(), fill(&chosen(text, &names))))
        .collect();
    let ignored = "/target\n/.venv\n/node_modules\n__pycache__\n*.wasm\n";
    written.push((".gitignore".to_owned(), ignored.to_owned()));
    if hooks.contains(&Interface::BeforeSend) {
        let cases = template!("rust/before-send.cases.toml");
        written.push(("cases/before-send.toml".to_owned(), cases.to_owned()));
    }
    Ok(written)
}

const fn files(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::Rust => &[],
        Language::C => &[
            ("src/plugin.c", template!("c/plugin.c.txt")),
            ("plugin.toml", template!("c/plugin.toml.txt")),
            ("README.md", template!("c/README.md.txt")),
        ],
        Language::Go => &[
            ("plugin.go", template!("go/plugin.go.txt")),
            ("go.mod", template!("go/go.mod.txt")),
            ("plugin.toml", template!("go/plugin.toml.txt")),
            ("README.md", template!("go/README.md.txt")),
        ],
        Language::JavaScript => &[
            ("plugin.js", template!("js/plugin.js.txt")),
            ("package.json", template!("js/package.json.txt")),
            ("plugin.toml", template!("js/plugin.toml.txt")),
            ("README.md", template!("js/README.md.txt")),
        ],
        Language::Python => &[
            ("plugin.py", template!("python/plugin.py.txt")),
            ("plugin.toml", template!("python/plugin.toml.txt")),
            ("README.md", template!("python/README.md.txt")),
        ],
    }
}

/// The lines that are there for these hooks.
fn chosen(text: &str, hooks: &[&str]) -> String {
    let mut is_in = true;
    let mut kept = String::new();
    for line in text.lines() {
        if let Some((_, hook)) = line.split_once("@if ") {
            is_in = hooks.contains(&hook.trim());
        } else if line.trim_end().ends_with("@end") {
            is_in = true;
        } else if is_in {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_what_its_hooks_need_and_nothing_of_others() {
        let others = Language::ALL.into_iter().filter(|language| *language != Language::Rust);
        for language in others {
            for hooks in [&HOOKS[..], &HOOKS[..1], &HOOKS[1..]] {
                let files = render(language, "orders-guard", hooks).unwrap();
                for (name, text) in &files {
                    let left = ["{{", "@if", "@end"].iter().find(|mark| text.contains(**mark));
                    assert_eq!(left, None, "{name}");
                }
                let has = |part: &str| files[0].1.contains(part);
                let send = hooks.contains(&Interface::BeforeSend);
                assert_eq!(has("set the property"), send, "{}", language.name());
                let append = hooks.contains(&Interface::AfterAppend);
                assert_eq!(has("a message of"), append, "{}", language.name());
            }
        }
    }

    #[test]
    fn hooks_without_a_template_are_refused() {
        let told = render(Language::Go, "a", &[Interface::Pull]).unwrap_err();
        assert!(told.contains("before-send") && told.contains("pull"), "{told}");
    }
}
