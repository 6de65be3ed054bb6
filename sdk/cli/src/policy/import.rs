//! ACLs of a running RocketMQ, as policies.

use blockhouse_authz::Imported;
use blockhouse_client::Error;
use serde_json::json;

use super::print;
use crate::cluster::{ClusterArgs, IdentityArgs, TlsArgs, block_on};
use crate::{address, out};

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse policy import --from 10.0.0.5:10911 --access-key admin \\
      --secret-key-file admin.secret > policies/imported.csv
  blockhouse policy check policies/

What is not taken over, or means something else, is said on stderr.";

/// From where.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The broker that has the ACLs, RocketMQ 5.3 or newer
    #[arg(long, value_name = "HOST:PORT", value_parser = address::one)]
    from: String,
    /// How long to wait for a connection and for an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 3_000)]
    timeout_ms: u64,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

/// Why the broker does not tell. That it cannot be reached is no name server's mistake here.
fn unasked(from: &str, error: Error) -> anyhow::Error {
    let what = format!("cannot ask {from} for its ACLs");
    match error {
        Error::Transport(cause) if !matches!(cause, blockhouse_transport::Error::Tls { .. }) => {
            anyhow::anyhow!("{what}: {cause}\nIs it where the broker listens (listenPort)?")
        }
        other => anyhow::Error::new(other).context(what),
    }
}

/// Prints them.
pub(super) fn import(args: &ImportArgs, as_json: bool) -> anyhow::Result<()> {
    let ImportArgs { from, timeout_ms, tls, identity } = args;
    let cluster = ClusterArgs {
        namesrv: from.clone(),
        timeout_ms: *timeout_ms,
        tls: tls.clone(),
        identity: identity.clone(),
    };
    let acls = block_on(identity.is_given(), async {
        let client = cluster.client()?;
        let acls = client.acls(from).await;
        client.close().await;
        acls.map_err(|error| unasked(from, error))
    })?;
    let Imported { lines, notes } = Imported::of(&acls);
    notes.iter().for_each(|note| out::note(note));
    let users = acls.len();
    let mut text = format!("# ACLs of {users} users of {from}.\n");
    for line in &lines {
        text.push_str(line);
        text.push('\n');
    }
    print(as_json, &text, &json!({ "users": users, "policies": lines, "notes": notes }))
}
