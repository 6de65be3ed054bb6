//! From the rules' words to the contract's.

use std::fmt::Debug;

use blockhouse_conformance::Refusal;
use blockhouse_plugin::{Access, Action, Rejection, Resource, Verdict};

pub(crate) fn rejection(refusal: Refusal) -> Rejection {
    Rejection { code: refusal.code, reason: refusal.reason }
}

pub(crate) fn verdict(result: Result<(), Refusal>) -> Verdict {
    result.map_err(rejection).into()
}

/// An access in the words of the rules: `pub topic:orders`.
pub(crate) fn spelled(access: &Access) -> String {
    let action = match access.action {
        Action::Pub => "pub",
        Action::Sub => "sub",
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
        Action::Get => "get",
        Action::List => "list",
    };
    match &access.resource {
        Resource::Cluster => format!("{action} cluster"),
        Resource::Topic(name) => format!("{action} topic:{name}"),
        Resource::Group(name) => format!("{action} group:{name}"),
    }
}

pub(crate) fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// A kind or an outcome as native code names it: the bindings put the type's name before it.
pub(crate) fn word(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.rsplit("::").next().unwrap_or_default().to_owned()
}
