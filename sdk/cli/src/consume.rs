//! Printing messages.

/// What the command line can say.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Does it.
pub(crate) fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("`consume` is not built yet")
}
