//! Users of brokers and name servers, each of which keeps its own.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use blockhouse_authn::plain_acl::{self, PlainAcl};
use blockhouse_authn::secret;
use blockhouse_client::admin::UserStep;
use blockhouse_client::{Client, Error};
use blockhouse_disk::{RealDisk, whole};
use blockhouse_protocol::body::user::UserInfo;
use blockhouse_protocol::codes::response_code;
use serde_json::json;

use super::Answer;
use crate::cluster::Table;
use crate::{address, given, out, wrong_use};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List users, and the nodes that have them
    List {
        /// Only names with this in them
        #[arg(default_value = "", hide_default_value = true)]
        filter: String,
        #[command(flatten)]
        at: At,
    },
    /// Make a user
    Create {
        /// Its name, the access key
        name: String,
        /// The file with its secret, readable by its owner only
        #[arg(long, value_name = "FILE")]
        secret_file: PathBuf,
        /// Make it a Super user
        #[arg(long = "super")]
        is_super: bool,
        #[command(flatten)]
        at: At,
    },
    /// Change a user: what is not given stays
    Update {
        /// Its name
        name: String,
        /// The file with its new secret, readable by its owner only
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Make it Super or Normal
        #[arg(long = "type", value_name = "TYPE", value_parser = ["Super", "Normal"])]
        kind: Option<String>,
        /// Let it in, or refuse it from the next request on
        #[arg(long, value_name = "STATUS", value_parser = ["enable", "disable"])]
        status: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Delete a user
    Delete {
        /// Its name
        name: String,
        #[command(flatten)]
        at: At,
    },
    /// Make the users of ACL 1.0's `plain_acl.yml`, and print its permissions as policies
    Import {
        /// The file, readable by its owner only
        file: PathBuf,
        /// Only print
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        at: At,
    },
}

/// Which nodes.
#[derive(Debug, clap::Args)]
pub(super) struct At {
    /// Only this broker or name server, instead of all name servers and master brokers
    #[arg(long, value_name = "HOST:PORT", value_parser = address::one)]
    node: Option<String>,
}

impl At {
    async fn nodes(&self, client: &Client) -> anyhow::Result<Vec<String>> {
        match &self.node {
            Some(node) => Ok(vec![node.clone()]),
            None => client.nodes().await.context("cannot list the nodes"),
        }
    }
}

pub(super) async fn run(client: &Client, command: Command) -> anyhow::Result<Answer> {
    match command {
        Command::List { filter, at } => list(client, &filter, &at).await,
        Command::Create { name, secret_file, is_super, at } => {
            let kind = if is_super { "Super" } else { "Normal" };
            let user = UserInfo {
                password: Some(secret_of(&secret_file)?),
                user_type: Some(kind.to_owned()),
                user_status: Some("enable".to_owned()),
                username: Some(name),
            };
            change(client, UserStep::Create, &user, &at).await
        }
        Command::Update { name, secret_file, kind, status, at } => {
            let user = UserInfo {
                password: secret_file.as_deref().map(secret_of).transpose()?,
                user_type: kind,
                user_status: status,
                username: Some(name),
            };
            if user == (UserInfo { username: user.username.clone(), ..UserInfo::default() }) {
                return Err(wrong_use(
                    "there is nothing to change: give --secret-file, --type or --status",
                ));
            }
            change(client, UserStep::Update, &user, &at).await
        }
        Command::Delete { name, at } => {
            let user = UserInfo { username: Some(name), ..UserInfo::default() };
            change(client, UserStep::Delete, &user, &at).await
        }
        Command::Import { file, dry_run, at } => import(client, &file, dry_run, &at).await,
    }
}

fn secret_of(file: &Path) -> anyhow::Result<String> {
    given::file(file)?;
    let secret = secret::read(&RealDisk, file).map_err(|error| wrong_use(error.to_string()))?;
    Ok(secret.expose().to_owned())
}

async fn list(client: &Client, filter: &str, at: &At) -> anyhow::Result<Answer> {
    let mut table = Table::new(&["node", "user", "type", "status"]);
    let mut all = Vec::new();
    for node in at.nodes(client).await? {
        let users = client.users(&node, filter).await;
        for user in users.map_err(|error| unlisted(&node, error))? {
            let text = |member: &Option<String>| member.clone().unwrap_or_default();
            let (name, kind) = (text(&user.username), text(&user.user_type));
            let status = text(&user.user_status);
            all.push(json!({"node": node, "user": name, "type": kind, "status": status}));
            table.row([node.clone(), name, kind, status]);
        }
    }
    Ok(Answer::table(&table, "There are no users.", all.into()))
}

/// Why a node does not tell its users. One that has none does not know the request.
fn unlisted(node: &str, error: Error) -> anyhow::Error {
    if error.code() == Some(response_code::REQUEST_CODE_NOT_SUPPORTED) {
        return anyhow::anyhow!(
            "{node} has no users, since authentication is off there: set authn.enabled = true, authn.key_file and \
             authn.initial_user_file on it and start it again (docs/authentication.md); Apache RocketMQ has users \
             from 5.3 on"
        );
    }
    anyhow::Error::new(error).context(format!("cannot ask {node} for its users"))
}

async fn change(
    client: &Client,
    step: UserStep,
    user: &UserInfo,
    at: &At,
) -> anyhow::Result<Answer> {
    let nodes = at.nodes(client).await?;
    let name = user.username.clone().unwrap_or_default();
    let had = having(client, &nodes, &name).await?;
    match (step, had.first()) {
        (UserStep::Create, Some(node)) => anyhow::bail!("{node} has a user {name} already"),
        (UserStep::Delete | UserStep::Update, None) => {
            anyhow::bail!("there is no user {name} on {}", nodes.join(", "))
        }
        _ => {}
    }
    let these = if step == UserStep::Create { &nodes } else { &had };
    for node in these {
        put(client, node, step, user).await?;
    }
    let done = match step {
        UserStep::Create => "Made",
        UserStep::Update => "Changed",
        UserStep::Delete => "Deleted",
    };
    let line = format!("{done} user {name} on {}.", these.join(", "));
    Ok(Answer::done(&line, json!({"user": name, "nodes": these})))
}

/// Those of `nodes` that have the user.
async fn having(client: &Client, nodes: &[String], name: &str) -> anyhow::Result<Vec<String>> {
    let mut having = Vec::new();
    for node in nodes {
        if has(client, node, name).await? {
            having.push(node.clone());
        }
    }
    Ok(having)
}

async fn has(client: &Client, node: &str, name: &str) -> anyhow::Result<bool> {
    let users = client.users(node, name).await.map_err(|error| unlisted(node, error))?;
    Ok(users.iter().any(|user| user.username.as_deref() == Some(name)))
}

async fn put(client: &Client, node: &str, step: UserStep, user: &UserInfo) -> anyhow::Result<()> {
    let name = user.username.clone().unwrap_or_default();
    // Nodes of one process share their users: what one has done, the next finds done.
    let is_done = match step {
        UserStep::Update => false,
        UserStep::Create => has(client, node, &name).await?,
        UserStep::Delete => !has(client, node, &name).await?,
    };
    if is_done {
        return Ok(());
    }
    match client.change_user(node, step, user).await {
        Err(Error::Refused { remark, .. }) => Err(anyhow::anyhow!("{node} refused: {remark}")),
        done => done.with_context(|| format!("cannot change user {name} on {node}")),
    }
}

async fn import(client: &Client, file: &Path, dry_run: bool, at: &At) -> anyhow::Result<Answer> {
    let name = file.display();
    given::file(file)?;
    let bytes = whole::read(&RealDisk, file).with_context(|| format!("cannot read {name}"))?;
    let bytes = bytes.unwrap_or_default();
    if bytes.len() > plain_acl::LEN_MAX {
        return Err(wrong_use(format!("{name} is too long")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong_use(format!("{name} is no text")))?;
    let acl = PlainAcl::parse(text).map_err(|error| wrong_use(format!("{name}, {error}")))?;
    acl.warnings.iter().for_each(|warning| out::note(warning));
    if !dry_run {
        let nodes = at.nodes(client).await?;
        for account in &acl.accounts {
            for node in &having(client, &nodes, &account.name).await? {
                out::note(&format!(
                    "{node} has a user {} already: it stays as it is",
                    account.name
                ));
            }
            for node in &nodes {
                let kind = if account.admin { "Super" } else { "Normal" };
                let user = UserInfo {
                    password: Some(account.secret.expose().to_owned()),
                    user_type: Some(kind.to_owned()),
                    user_status: Some("enable".to_owned()),
                    username: Some(account.name.clone()),
                };
                put(client, node, UserStep::Create, &user).await?;
            }
        }
    }
    let users: Vec<&str> = acl.accounts.iter().map(|account| account.name.as_str()).collect();
    let mut text = acl.policies.join("\n");
    text.push('\n');
    Ok(Answer { text, json: json!({"users": users, "policies": acl.policies}) })
}
