//! Making plugins, looking at them, putting them onto a node, seeing what runs.

mod add;
mod bench;
mod binding;
mod build;
mod carry;
pub(crate) mod cases;
mod change;
mod compile;
mod deploy;
mod describe;
mod diff;
mod engine;
mod explain;
mod facts;
mod files;
mod keys;
mod list;
mod logs;
mod new;
pub(crate) mod node;
mod recorded;
mod top;
mod trace;

use std::process::ExitCode;

use serde::Serialize;

use crate::out;
pub(crate) use compile::compiler;

const EXAMPLES: &str = "\
From nothing to a plugin that runs:
  blockhouse plugin new orders-guard --hooks before-send
  cd orders-guard
  blockhouse plugin build
  mkdir -p ../blockhouse-data
  blockhouse plugin add orders-guard.wasm --data ../blockhouse-data
  # paste the printed [[plugins.binding]] into node.toml
  blockhouse standalone --data ../blockhouse-data --config node.toml
  blockhouse plugin list

docs/plugins.md is the reference.";

/// What the command line can say.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write a small plugin to start from
    ///
    /// In Rust, a crate that serves the hooks of --hooks, with a test for each; in C, Go, JavaScript
    /// or Python (--lang), a source that serves before-send and after-append. With a manifest and
    /// cases for `plugin test`. With an empty `config` it changes nothing.
    #[command(after_help = new::EXAMPLES)]
    New(new::Args),
    /// Compile a plugin into a component
    ///
    /// Needs the language's tools: for Rust the target wasm32-unknown-unknown and nothing else. What
    /// is missing is named with the command that installs it. The manifest, plugin.toml, goes into
    /// the component; the digest of both together is the plugin's identity.
    #[command(after_help = build::EXAMPLES)]
    Build(build::Args),
    /// Tell what a component is: digest, hooks, what it asks for, who signed it
    #[command(after_help = "Example:\n  blockhouse plugin inspect orders-guard.wasm --json")]
    Inspect(facts::Args),
    /// Make a key that signs plugins
    #[command(after_help = keys::KEYGEN_EXAMPLES)]
    Keygen(keys::KeygenArgs),
    /// Sign a component; the signature goes into FILE.sig
    #[command(
        after_help = "Example:\n  blockhouse plugin sign orders-guard.wasm --key release.key"
    )]
    Sign(keys::SignArgs),
    /// Check a component's signatures against the keys that you trust
    #[command(after_help = keys::VERIFY_EXAMPLES)]
    Verify(keys::VerifyArgs),
    /// Put a component into a node's directory, under its digest
    ///
    /// It runs once a binding of the node's configuration names that digest, from the next start.
    #[command(after_help = "Example:\n  blockhouse plugin add orders-guard.wasm --data \
                            /var/lib/blockhouse")]
    Add(add::Args),
    /// Show the plugins of a running node
    #[command(after_help = list::EXAMPLES)]
    List(list::Args),
    /// Put a plugin in force on running nodes, without a restart
    ///
    /// The nodes check signatures, version and what it asks for, compile it, start it and run its
    /// cases beside the traffic; then the whole chain is swapped at once.
    #[command(after_help = deploy::EXAMPLES)]
    Deploy(deploy::Args),
    /// Put the version before in force again
    #[command(after_help = change::ROLLBACK_EXAMPLES)]
    Rollback(change::Args),
    /// Take a plugin out at once; it stays out over restarts
    #[command(after_help = change::DISABLE_EXAMPLES)]
    Disable(change::Args),
    /// Bring a plugin back that was taken out
    #[command(after_help = "Example:\n  blockhouse plugin enable orders-guard")]
    Enable(change::Args),
    /// Tell how a plugin of a running node is bound, how it does, and what it was before
    #[command(after_help = describe::EXAMPLES)]
    Describe(describe::Args),
    /// Print what a plugin of a running node writes
    #[command(after_help = logs::EXAMPLES)]
    Logs(logs::Args),
    /// Show what the plugins of a running node do right now
    #[command(after_help = top::EXAMPLES)]
    Top(top::Args),
    /// Show every plugin call of the next requests on a running node
    ///
    /// Names, sizes, times and decisions; never a body or a property's value.
    #[command(after_help = trace::EXAMPLES)]
    Trace(trace::Args),
    /// Run a plugin's cases in the engine of the node
    ///
    /// Starts the plugin (`init`, `health`) and gives it the messages of cases/*.toml, and those that
    /// were recorded from a live topic.
    #[command(after_help = cases::EXAMPLES)]
    Test(cases::Args),
    /// Compile the component on standard input to standard output, in place of the node
    #[command(hide = true)]
    CompileComponent(compile::Args),
    /// Measure what a plugin costs per message at before-send and before-deliver
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Args),
    /// Write components and their signatures into an OCI image layout
    #[command(after_help = carry::SAVE_EXAMPLES)]
    Save(carry::SaveArgs),
    /// Put all plugins of an OCI image layout into a node's directory
    #[command(after_help = "Example:\n  blockhouse plugin load plugins.tar --data \
                            /var/lib/blockhouse")]
    Load(carry::LoadArgs),
    /// Tell what changes from one component to another
    #[command(after_help = "Example:\n  blockhouse plugin diff old.wasm new.wasm")]
    Diff(diff::Args),
    /// Tell which bindings run for a send and a pull, in which order, and what their failure does
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Args),
}

/// Does it.
pub(crate) fn run(args: &Args) -> ExitCode {
    let as_json = args.json;
    crate::report(match &args.what {
        What::New(args) => new::run(args, as_json),
        What::Build(args) => build::run(args, as_json),
        What::Inspect(args) => facts::run(args, as_json),
        What::Keygen(args) => keys::keygen(args, as_json),
        What::Sign(args) => keys::sign(args, as_json),
        What::Verify(args) => keys::verify(args, as_json),
        What::Add(args) => add::run(args, as_json),
        What::List(args) => list::run(args, as_json),
        What::Deploy(args) => deploy::run(args, as_json),
        What::Rollback(args) => change::run(args, "rollback", as_json),
        What::Disable(args) => change::run(args, "disable", as_json),
        What::Enable(args) => change::run(args, "enable", as_json),
        What::Describe(args) => describe::run(args, as_json),
        What::Logs(args) => logs::run(args, as_json),
        What::Top(args) => top::run(args, as_json),
        What::Trace(args) => trace::run(args, as_json),
        What::Test(args) => cases::run(args, as_json),
        What::CompileComponent(args) => compile::run(args),
        What::Bench(args) => bench::run(args, as_json),
        What::Save(args) => carry::save(args, as_json),
        What::Load(args) => carry::load(args, as_json),
        What::Diff(args) => diff::run(args, as_json),
        What::Explain(args) => explain::run(args, as_json),
    })
}

/// Prints an answer for people, or the same for programs.
fn print(as_json: bool, text: &str, json: &impl Serialize) -> anyhow::Result<()> {
    if as_json {
        out::line(&serde_json::to_string_pretty(json)?);
    } else {
        out::text(text);
    }
    Ok(())
}
