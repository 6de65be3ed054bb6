//! Users: create, change, delete, show. No answer has a secret in it.

use std::sync::Arc;

use blockhouse_hook::{User, UserChange, UserError, Users};
use blockhouse_protocol::body::user::UserInfo;
use blockhouse_protocol::codes::response_code as code;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::user::{AboutUser, ListUsers};
use blockhouse_requests::codes;

use crate::call::OwnedCall;
use crate::response::{Answer, Failure, Response};

pub(crate) fn create(call: OwnedCall) -> Answer {
    changed(call, |users, call, change| {
        users.create_beside(call.node.acls().as_deref(), &call.cx.principal, change)
    })
}

pub(crate) fn update(call: OwnedCall) -> Answer {
    changed(call, |users, call, change| users.update(&call.cx.principal, change))
}

type Change = fn(&dyn Users, &OwnedCall, &UserChange<'_>) -> Result<(), UserError>;

fn changed(call: OwnedCall, change: Change) -> Answer {
    at_leisure(call, move |users, call| {
        let name = AboutUser::parse(&call.command.ext)?.username;
        let info = UserInfo::decode(&call.command.body)?;
        let UserInfo { password, user_type, user_status, .. } = &info;
        let [secret, kind, status] = [password, user_type, user_status].map(Option::as_deref);
        UserChange::said(name, secret, kind, status)
            .and_then(|said| change(users, call, &said))
            .map_err(|error| failure(&error))?;
        Ok(Response::ok())
    })
}

pub(crate) fn delete(call: OwnedCall) -> Answer {
    at_leisure(call, |users, call| {
        let name = AboutUser::parse(&call.command.ext)?.username;
        let deleted = users.delete_beside(call.node.acls().as_deref(), &call.cx, name);
        deleted.map_err(|error| failure(&error))?;
        Ok(Response::ok())
    })
}

pub(crate) fn show(call: OwnedCall) -> Answer {
    at_leisure(call, |users, call| {
        let name = AboutUser::parse(&call.command.ext)?.username;
        // RocketMQ's `copyUser` takes an answer without a body for "no such user", and nothing else.
        let found = users.find(name);
        Ok(found
            .map_or_else(Response::ok, |user| Response::body(fastjson::write(&rendered(&user)))))
    })
}

pub(crate) fn list(call: OwnedCall) -> Answer {
    at_leisure(call, |users, call| {
        let filter = ListUsers::parse(&call.command.ext)?.filter.unwrap_or_default();
        let users: Vec<UserInfo> = users.list(filter).iter().map(rendered).collect();
        Ok(Response::body(fastjson::write(&users)))
    })
}

/// Checks who asks, and does it where waiting for the disk delays nobody.
fn at_leisure(
    call: OwnedCall,
    work: impl FnOnce(&dyn Users, &OwnedCall) -> Result<Response, Failure> + Send + 'static,
) -> Answer {
    Box::pin(async move {
        let users = users(&call)?;
        let done = tokio::task::spawn_blocking(move || work(&*users, &call)).await;
        done.unwrap_or_else(|_stopping| {
            Err(Failure::new(code::SYSTEM_BUSY, "the broker is stopping"))
        })
    })
}

/// The users, if the caller may administer any.
fn users(call: &OwnedCall) -> Result<Arc<dyn Users>, Failure> {
    let Some(users) = call.node.users() else {
        let remark = "this broker has no users: authentication is off (authn.enabled)";
        return Err(Failure::new(code::REQUEST_CODE_NOT_SUPPORTED, remark));
    };
    users.administered(&call.cx.principal, &call.hooks).map_err(|error| failure(&error))?;
    Ok(users)
}

fn rendered(user: &User) -> UserInfo {
    UserInfo::shown(&user.name, user.kind.name(), user.status_name())
}

fn failure(error: &UserError) -> Failure {
    Failure::new(codes::of_user_error(error), error.to_string())
}
