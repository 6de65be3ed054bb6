//! May this request be carried out? What its row demands is asked, and the audit is told of administration.

use std::sync::Arc;

use blockhouse_core::Caller;
use blockhouse_hook::{AdminCommand, Announced};
use blockhouse_model::{Access, Action, Resource};
use blockhouse_protocol::RemotingCommand;
use blockhouse_protocol::codes::{request_code, response_code};

use crate::Node;
use crate::response::Failure;
use crate::table::{Entry, Row, Shown};

/// Asks for what the row demands, and tells the admin hook. Gives what has to be told if nothing comes of it.
pub(crate) fn allow(
    row: &Row,
    caller: Caller<'_>,
    (command, node): (&RemotingCommand, &dyn Node),
) -> Result<Option<Announced>, Failure> {
    let named = |field: &str| command.ext.get(field).unwrap_or_default();
    let (needed, target, shown) = demanded(row.entry, named);
    let beside = shown.iter().flat_map(|shown| shown.accesses(named));
    // All of it before the command is told of as one that may be carried out.
    for access in needed.into_iter().chain(beside) {
        caller.authorize(&[access])?;
    }
    if !row.admin {
        return Ok(None);
    }
    let name = request_code::name(row.code);
    if matches!(row.entry, Entry::User(_)) {
        administered(caller, &AdminCommand { name, target }, node)?;
    }
    caller.announce_admin(name, target)?;
    let changes = needed.is_some_and(|access| {
        matches!(access.action, Action::Create | Action::Update | Action::Delete)
    });
    Ok(changes.then(|| Arc::clone(caller.hooks).announced(caller.cx, name, target)).flatten())
}

/// Users are not for everybody to administer, also where nobody stands at authorize.
fn administered(
    caller: Caller<'_>,
    command: &AdminCommand<'_>,
    node: &dyn Node,
) -> Result<(), Failure> {
    let Some(users) = node.users() else { return Ok(()) };
    users.administered(&caller.cx.principal, caller.hooks).map_err(|error| {
        let reason = error.to_string();
        caller.hooks.not_changed(caller.cx, command, &reason);
        Failure::new(response_code::NO_PERMISSION, reason)
    })
}

/// What a request must be allowed to do, what it is about, and what it shows beside that.
fn demanded<'a>(
    entry: Entry,
    named: impl Fn(&str) -> &'a str,
) -> (Option<Access<'a>>, &'a str, &'static [Shown]) {
    let access = |action, resource| Some(Access { action, resource });
    let topic = |action, field| (access(action, Resource::Topic(named(field))), named(field));
    let group = |action, field| (access(action, Resource::Group(named(field))), named(field));
    let ((needed, target), shown): (_, &[Shown]) = match entry {
        Entry::Core => ((None, ""), &[]),
        Entry::Cluster(action) => ((access(action, Resource::Cluster), ""), &[]),
        Entry::User(action) => ((access(action, Resource::Cluster), named("username")), &[]),
        Entry::Acl(action) => ((access(action, Resource::Policy), named("subject")), &[]),
        Entry::Topic(action, field) => (topic(action, field), &[]),
        Entry::TopicShowing(action, field, beside) => (topic(action, field), beside),
        Entry::Group(action, field) => (group(action, field), &[]),
        Entry::GroupShowing(action, field, beside) => (group(action, field), beside),
        Entry::Member(field) => (group(Action::Sub, field), &[]),
    };
    (needed, target, shown)
}

impl Shown {
    /// What must be allowed for it to be shown.
    fn accesses<'a>(self, named: impl Fn(&str) -> &'a str) -> impl Iterator<Item = Access<'a>> {
        let (field, parts, separator) = match self {
            Self::Topic(field) | Self::Group(field) => (field, 1, ';'),
            Self::Topics(field) => (field, usize::MAX, ';'),
            Self::Groups(field) => (field, usize::MAX, ','),
        };
        let is_topic = matches!(self, Self::Topic(_) | Self::Topics(_));
        // What is blank names nothing, as for the handlers.
        let names = named(field).splitn(parts, separator).filter(|name| !name.trim().is_empty());
        names.map(move |name| {
            let resource = if is_topic { Resource::Topic(name) } else { Resource::Group(name) };
            Access { action: Action::Get, resource }
        })
    }
}
