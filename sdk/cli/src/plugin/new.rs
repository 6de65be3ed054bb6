//! A small plugin to start from.

mod other;
mod template;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use blockhouse_build::Language;
use blockhouse_host::Interface;
use blockhouse_package::Name;
use serde_json::{Value, json};

use super::files;
use crate::wrong_use;

pub(super) const EXAMPLES: &str = "\
Hooks: connection, authenticate, authorize, before-send, after-append, pull, before-deliver, ack, \
admin-command, broker-registration, route-query, enrich-span, audit-sink. docs/hooks.md says when each runs. \
The templates of other languages than Rust have before-send and after-append; what is not named is before-send \
for Rust and C, and after-append for the others.

Examples:
  blockhouse plugin new orders-guard
  blockhouse plugin new orders-guard --hooks authorize,before-send \\
      --dir plugins/orders-guard
  blockhouse plugin new orders-watch --lang python";

/// The guest SDK of the checkout that this program was built in.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin");
/// Where there is no checkout: what to put the right path in place of.
const SDK_UNKNOWN: &str = "../blockhouse/sdk/plugin";
/// Names that cargo or the compiler keeps for itself, beside Rust's keywords.
const RESERVED: [&str; 8] =
    ["alloc", "blockhouse-plugin", "core", "proc-macro", "self", "serde", "std", "test"];

/// What to write.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plugin's name: 1 to 64 of `a-z 0-9 -`, a letter first
    name: Name,
    /// What to write it in: rust, c, go, js or python
    #[arg(long, value_name = "LANGUAGE", default_value = "rust", value_parser = language)]
    lang: Language,
    /// The hooks that it serves; before-send or after-append, by language, if absent
    #[arg(long, value_name = "HOOK,...", value_delimiter = ',', value_parser = hook)]
    hooks: Vec<Interface>,
    /// Where to write it; ./NAME if absent
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Rust: the guest SDK, sdk/plugin of a checkout of Blockhouse
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

fn language(name: &str) -> Result<Language, String> {
    let found = Language::of(name).filter(|_| !name.is_empty());
    found.ok_or_else(|| format!("it is none of {}", Language::ALL.map(Language::name).join(", ")))
}

fn hook(name: &str) -> Result<Interface, String> {
    let found = Interface::ALL.into_iter().find(|hook| hook.name() == name);
    found.ok_or_else(|| {
        let all: Vec<&str> = Interface::ALL.iter().map(|hook| hook.name()).collect();
        format!("it is none of {}", all.join(", "))
    })
}

/// Writes it, into a directory of its own.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    if args.lang == Language::Rust {
        check_name(&args.name)?;
    }
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(args.name.as_str()));
    if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) || dir.is_file() {
        return Err(wrong_use(format!(
            "{} is there and not empty: choose another with --dir",
            dir.display()
        )));
    }
    let hooks = hooks(args);
    if args.lang == Language::Rust {
        return rust(args, &dir, &hooks, as_json);
    }
    if args.sdk.is_some() {
        return Err(wrong_use("--sdk is for --lang rust; others need none"));
    }
    let written = other::render(args.lang, args.name.as_str(), &hooks).map_err(wrong_use)?;
    let text = [write(&dir, &written)?, next(&dir, other::prepare(args.lang))].concat();
    super::print(as_json, &text, &told(&dir, &written))
}

/// The hooks, each once.
fn hooks(args: &Args) -> Vec<Interface> {
    let mut hooks: Vec<Interface> = Vec::new();
    for hook in &args.hooks {
        if !hooks.contains(hook) {
            hooks.push(*hook);
        }
    }
    if hooks.is_empty() {
        hooks.push(other::usual_hook(args.lang));
    }
    hooks
}

fn rust(args: &Args, dir: &Path, hooks: &[Interface], as_json: bool) -> anyhow::Result<()> {
    let sdk = sdk(args.sdk.as_deref(), Path::new(SDK))?;
    let path = sdk.as_ref().map_or_else(|| SDK_UNKNOWN.to_owned(), |sdk| sdk.display().to_string());
    let written = template::render(args.name.as_str(), &path, hooks);
    let mut text = write(dir, &written)?;
    if sdk.is_none() {
        text += &format!(
            "\nThe guest SDK is not on this machine. Get the sources of Blockhouse, and put the path \
             of their sdk/plugin in place of {SDK_UNKNOWN} in Cargo.toml.\n"
        );
    }
    text += &next(dir, other::prepare(Language::Rust));
    let mut json = told(dir, &written);
    json["sdk"] = path.into();
    super::print(as_json, &text, &json)
}

/// Writes the files; gives what there is to say of it.
fn write(dir: &Path, files: &[(String, String)]) -> anyhow::Result<String> {
    let mut text = format!("wrote {}:\n", dir.display());
    for (name, contents) in files {
        files::write(&dir.join(name), contents.as_bytes())?;
        text += &format!("  {name}\n");
    }
    Ok(text)
}

fn next(dir: &Path, prepare: &str) -> String {
    format!("\nNext:\n  cd {}\n  {prepare}\n  blockhouse plugin build\n", dir.display())
}

fn told(dir: &Path, files: &[(String, String)]) -> Value {
    let names: Vec<&String> = files.iter().map(|(name, _)| name).collect();
    json!({ "dir": dir.display().to_string(), "files": names })
}

/// Refuses what a crate cannot be called.
fn check_name(name: &Name) -> anyhow::Result<()> {
    let text = name.as_str();
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(wrong_use(format!("{text} must begin with a letter to be a crate's name")));
    }
    if RESERVED.contains(&text) || is_keyword(text) {
        return Err(wrong_use(format!("{text} cannot be a crate's name: choose another")));
    }
    Ok(())
}

fn is_keyword(text: &str) -> bool {
    const KEYWORDS: &str = " abstract as async await become box break const continue crate do dyn \
        else enum extern false final fn for gen if impl in let loop macro match mod move mut \
        override priv pub ref return static struct super trait true try type typeof unsafe \
        unsized use virtual where while yield ";
    KEYWORDS.contains(&format!(" {text} "))
}

/// The SDK that was named, or the one of this program's checkout if that is still there.
fn sdk(named: Option<&Path>, own: &Path) -> anyhow::Result<Option<PathBuf>> {
    let is_there = |dir: &Path| dir.join("Cargo.toml").is_file();
    let Some(dir) = named else {
        return Ok(if is_there(own) { own.canonicalize().ok() } else { None });
    };
    if !is_there(dir) {
        return Err(wrong_use(format!(
            "--sdk {0}: there is no Cargo.toml; name sdk/plugin of a checkout of Blockhouse",
            dir.display()
        )));
    }
    let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
    Ok(Some(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_the_one_named_or_the_own_one_if_it_is_there() {
        let own = Path::new(SDK);
        assert!(sdk(None, own).unwrap().unwrap().ends_with("sdk/plugin"));
        assert_eq!(sdk(None, &own.join("gone")).unwrap(), None);
        assert_eq!(sdk(Some(own), &own.join("gone")).unwrap(), own.canonicalize().ok());
        assert!(sdk(Some(&own.join("gone")), own).is_err());
    }

    #[test]
    fn names_that_no_crate_can_have_are_refused() {
        for bad in ["1a", "-a", "fn", "test", "core", "try"] {
            assert!(check_name(&bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in ["a", "orders-guard", "fn-a", "pull"] {
            assert!(check_name(&good.parse().unwrap()).is_ok(), "{good}");
        }
    }
}
