//! Keys, and who vouches for a plugin.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use blockhouse_disk::RealDisk;
use blockhouse_package::{Name, Policy, Require, SecretKey, Signature, TrustStore, package, trust};
use serde_json::json;

use super::files;
use crate::{given, wrong_use};

pub(super) const KEYGEN_EXAMPLES: &str = "\
The secret half stays with whoever releases plugins. The public half goes into the trust store of every node, \
which is a directory of such files.

Example:
  # writes release.key and release.pub
  blockhouse plugin keygen release";

pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  blockhouse plugin verify orders-guard.wasm --trust /etc/blockhouse/trust
  blockhouse plugin verify orders-guard.wasm --trust trust --require none
  blockhouse plugin verify orders-guard.wasm --trust trust \\
      --all-of build,security

A wrong signature of a trusted key fails with any --require.";

/// What key to make.
#[derive(Debug, clap::Args)]
pub(super) struct KeygenArgs {
    /// The key's name: 1 to 64 of `a-z 0-9 -`
    name: Name,
    /// Where to put NAME.key and NAME.pub
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// What to sign.
#[derive(Debug, clap::Args)]
pub(super) struct SignArgs {
    /// The component
    file: PathBuf,
    /// The file of the secret key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// What to check.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// The component
    file: PathBuf,
    /// The directory of public keys, *.pub
    #[arg(long, value_name = "DIR")]
    trust: PathBuf,
    /// What must be there: none, or signed for any trusted key
    #[arg(long, value_name = "none|signed", default_value = "signed")]
    require: Require,
    /// The least number of trusted keys
    #[arg(long, value_name = "N", conflicts_with = "require")]
    minimum: Option<usize>,
    /// Keys that must all have signed
    #[arg(long, value_name = "KEY,...", value_delimiter = ',')]
    all_of: Vec<Name>,
    /// Keys of which one must have signed
    #[arg(long, value_name = "KEY,...", value_delimiter = ',')]
    any_of: Vec<Name>,
}

/// Makes a key.
pub(super) fn keygen(args: &KeygenArgs, as_json: bool) -> anyhow::Result<()> {
    let dir = std::path::absolute(&args.dir)?;
    given::directory(&dir)?;
    let (secret, public) =
        (dir.join(format!("{}.key", args.name)), dir.join(format!("{}.pub", args.name)));
    if public.exists() {
        return Err(wrong_use(format!(
            "{} is already there: choose another name",
            public.display()
        )));
    }
    let key = SecretKey::generate(args.name.clone())?;
    key.write(&RealDisk, &secret)?;
    let public_key = key.public();
    files::write(&public, public_key.to_string().as_bytes())?;
    let text = format!(
        "key {} ({})\nsecret half  {}  keep it to yourself: nobody can have it back\n\
         public half  {}  goes into the trust store of every node\n",
        args.name,
        public_key.id(),
        secret.display(),
        public.display()
    );
    let json = json!({
        "name": args.name.as_str(),
        "id": public_key.id().to_string(),
        "secret": secret.display().to_string(),
        "public": public.display().to_string(),
    });
    super::print(as_json, &text, &json)
}

/// Signs a plugin; a former signature of the same key is replaced.
pub(super) fn sign(args: &SignArgs, as_json: bool) -> anyhow::Result<()> {
    let package = files::package(&args.file)?;
    given::file(&args.key)?;
    let key = SecretKey::read(&RealDisk, &args.key)
        .with_context(|| format!("cannot sign with {}", args.key.display()))?;
    let id = key.public().id();
    let mut signatures = package.signatures().clone();
    signatures.add(Signature::sign(&key, package.digest(), package.manifest()))?;
    let path = package::signatures_path(&args.file);
    files::write(&path, signatures.to_string().as_bytes())?;
    let manifest = package.manifest();
    let text = format!(
        "signed {} {} ({}) with key {id}; the signature is in {}\n",
        manifest.name,
        manifest.version,
        package.digest(),
        path.display()
    );
    let json = json!({
        "digest": package.digest().to_string(),
        "key": id.to_string(),
        "file": path.display().to_string(),
    });
    super::print(as_json, &text, &json)
}

/// Checks a plugin's signatures.
pub(super) fn verify(args: &VerifyArgs, as_json: bool) -> anyhow::Result<()> {
    let package = files::package(&args.file)?;
    let store = store(&args.trust)?;
    let known: BTreeSet<&Name> = store.keys().map(blockhouse_package::PublicKey::name).collect();
    if let Some(name) = args.all_of.iter().chain(&args.any_of).find(|name| !known.contains(name)) {
        return Err(wrong_use(format!(
            "no key {name} is in {}: put {name}.pub there",
            args.trust.display()
        )));
    }
    let require = Require {
        all_of: args.all_of.iter().cloned().collect(),
        any_of: args.any_of.iter().cloned().collect(),
        minimum: args.minimum.unwrap_or(args.require.minimum),
    };
    let vouched = store.vouch(&Policy { require, ..Policy::default() }, &package)?;
    let signers: Vec<String> = vouched.signers.iter().map(ToString::to_string).collect();
    let unknown: Vec<String> = vouched.unknown.iter().map(ToString::to_string).collect();
    let manifest = package.manifest();
    let by = if signers.is_empty() { "nobody you trust".to_owned() } else { signers.join(", ") };
    let mut text = format!(
        "{} {} ({}) is signed by {by}\n",
        manifest.name,
        manifest.version,
        package.digest()
    );
    if !unknown.is_empty() {
        text += &format!("keys that are not in the trust store: {}\n", unknown.join(", "));
    }
    let digest = package.digest().to_string();
    super::print(
        as_json,
        &text,
        &json!({ "digest": digest, "signers": signers, "unknown": unknown }),
    )
}

/// The trust store in a directory, which must be there: a wrong path is no empty store.
fn store(dir: &Path) -> anyhow::Result<TrustStore> {
    if !dir.is_dir() {
        let suffix = trust::SUFFIX;
        return Err(wrong_use(format!(
            "{} is no directory: a trust store is one, with public keys, *{suffix}",
            dir.display()
        )));
    }
    Ok(TrustStore::read(&RealDisk, dir)?)
}
