//! Users: create, change, delete, show. No answer has a secret in it.

use std::sync::Arc;

use blockhouse_hook::{Point, User, UserChange, UserError, UserKind, Users};
use blockhouse_protocol::body::user::UserInfo;
use blockhouse_protocol::codes::response_code as code;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::user::{AboutUser, ListUsers};

use crate::call::OwnedCall;
use crate::response::{Answer, Failure, Response};

pub(crate) fn create(call: OwnedCall) -> Answer {
    changed(call, |users, call, change| users.create(&call.cx.principal, change))
}

pub(crate) fn update(call: OwnedCall) -> Answer {
    changed(call, |users, call, change| users.update(&call.cx.principal, change))
}

type Change = fn(&dyn Users, &OwnedCall, &UserChange<'_>) -> Result<(), UserError>;

fn changed(call: OwnedCall, change: Change) -> Answer {
    at_leisure(call, move |users, call| {
        let name = AboutUser::parse(&call.command.ext)?.username;
        let info: UserInfo = fastjson::read(&call.command.body)?;
        let unknown = |what: &str, known: &str| {
            Failure::new(code::INVALID_PARAMETER, format!("{what} must be {known}"))
        };
        let kind = said(info.user_type.as_deref())
            .map(|word| UserKind::of(word).ok_or_else(|| unknown("userType", "Super or Normal")))
            .transpose()?;
        let enabled = said(info.user_status.as_deref())
            .map(|word| {
                User::status(word).ok_or_else(|| unknown("userStatus", "enable or disable"))
            })
            .transpose()?;
        let secret = said(info.password.as_deref());
        change(users, call, &UserChange { name, secret, kind, enabled })
            .map_err(|error| failure(&error))?;
        Ok(Response::ok())
    })
}

pub(crate) fn delete(call: OwnedCall) -> Answer {
    at_leisure(call, |users, call| {
        let name = AboutUser::parse(&call.command.ext)?.username;
        users.delete(&call.cx.principal, name).map_err(|error| failure(&error))?;
        Ok(Response::ok())
    })
}

pub(crate) fn show(call: OwnedCall) -> Answer {
    at_leisure(call, |users, call| {
        let name = AboutUser::parse(&call.command.ext)?.username;
        let missing = || failure(&UserError::Missing(name.to_owned()));
        let user = users.find(name).ok_or_else(missing)?;
        Ok(Response::body(fastjson::write(&rendered(&user))))
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

/// The users, if the caller may administer any: where nobody authorizes, only Super users do.
fn users(call: &OwnedCall) -> Result<Arc<dyn Users>, Failure> {
    let Some(users) = call.node.users() else {
        let remark = "this broker has no users: authentication is off (authn.enabled)";
        return Err(Failure::new(code::REQUEST_CODE_NOT_SUPPORTED, remark));
    };
    if call.hooks.has(Point::Authorize) || users.is_super(&call.cx.principal) {
        return Ok(users);
    }
    Err(Failure::new(code::NO_PERMISSION, "users are for Super users to administer"))
}

/// What is not said is not changed. Tools send empty texts as well.
fn said(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn rendered(user: &User) -> UserInfo {
    UserInfo {
        password: Some(String::new()),
        user_status: Some(user.status_name().to_owned()),
        user_type: Some(user.kind.name().to_owned()),
        username: Some(user.name.as_ref().to_owned()),
    }
}

fn failure(error: &UserError) -> Failure {
    let code = match error {
        UserError::Missing(_) => code::USER_NOT_EXIST,
        UserError::Exists(_) | UserError::Invalid(_) => code::INVALID_PARAMETER,
        UserError::Forbidden(_) => code::NO_PERMISSION,
        UserError::NotSaved(_) => code::SYSTEM_ERROR,
    };
    Failure::new(code, error.to_string())
}
