//! Users (3001 to 3005), as brokers have them: a name server authenticates with a file of its own.

use std::sync::Arc;

use blockhouse_hook::{Point, User, UserChange, UserError, UserKind, Users};
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::user::UserInfo;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::user::{AboutUser, ListUsers};

use crate::reply::{Outcome, Reply, Work};
use crate::request::Request;
use crate::{Error, NameService};

pub(crate) fn create(service: &NameService, request: &Request<'_>) -> Outcome {
    changed(service, request, true)
}

pub(crate) fn update(service: &NameService, request: &Request<'_>) -> Outcome {
    changed(service, request, false)
}

fn changed(service: &NameService, request: &Request<'_>, is_new: bool) -> Outcome {
    let users = users(service, request)?;
    let name = AboutUser::parse(&request.command.ext)?.username.to_owned();
    let info = UserInfo::decode(&request.command.body)?;
    let unknown = |word: &'static str| Error::User(UserError::Invalid(word.to_owned()));
    let kind = said(info.user_type.as_deref())
        .map(|word| UserKind::of(word).ok_or(unknown("userType must be Super or Normal")))
        .transpose()?;
    let enabled = said(info.user_status.as_deref())
        .map(|word| User::status(word).ok_or(unknown("userStatus must be enable or disable")))
        .transpose()?;
    let by = request.cx.principal.clone();
    Ok(Reply::after(Work::new(move || {
        let secret = said(info.password.as_deref());
        let change = UserChange { name: &name, secret, kind, enabled };
        if is_new {
            users.create(&by, &change)?;
        } else {
            users.update(&by, &change)?;
        }
        Ok(Reply::empty())
    })))
}

pub(crate) fn delete(service: &NameService, request: &Request<'_>) -> Outcome {
    let users = users(service, request)?;
    let name = AboutUser::parse(&request.command.ext)?.username.to_owned();
    let by = request.cx.principal.clone();
    Ok(Reply::after(Work::new(move || {
        users.delete(&by, &name)?;
        Ok(Reply::empty())
    })))
}

pub(crate) fn show(service: &NameService, request: &Request<'_>) -> Outcome {
    let users = users(service, request)?;
    let name = AboutUser::parse(&request.command.ext)?.username;
    let missing = || UserError::Missing(name.to_owned());
    let user = users.find(name).ok_or_else(missing)?;
    Ok(Reply::body(rendered(&user).encode()))
}

pub(crate) fn list(service: &NameService, request: &Request<'_>) -> Outcome {
    let users = users(service, request)?;
    let filter = ListUsers::parse(&request.command.ext)?.filter.unwrap_or_default();
    let users: Vec<UserInfo> = users.list(filter).iter().map(rendered).collect();
    Ok(Reply::body(fastjson::write(&users)))
}

/// The users, if the caller may administer any: where nobody authorizes, only Super users do.
fn users(service: &NameService, request: &Request<'_>) -> Result<Arc<dyn Users>, Error> {
    let users = service.users.as_ref().ok_or(Error::UnknownCode(request.command.code))?;
    if request.hooks.has(Point::Authorize) || users.is_super(&request.cx.principal) {
        return Ok(Arc::clone(users));
    }
    Err(UserError::Forbidden("users are for Super users to administer").into())
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
