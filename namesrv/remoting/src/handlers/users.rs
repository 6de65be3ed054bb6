//! Users (3001 to 3005), as brokers have them: a name server authenticates with a file of its own.

use std::sync::Arc;

use blockhouse_hook::{User, UserChange, Users};
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
    let (acls, cx) = (service.acls.clone(), request.cx.clone());
    Ok(Reply::after(Work::new(move || {
        let UserInfo { password, user_type, user_status, .. } = &info;
        let [secret, kind, status] = [password, user_type, user_status].map(Option::as_deref);
        let change = UserChange::said(&name, secret, kind, status)?;
        if is_new {
            users.create_beside(acls.as_deref(), &cx.principal, &change)?;
        } else {
            users.update(&cx.principal, &change)?;
        }
        Ok(Reply::empty())
    })))
}

pub(crate) fn delete(service: &NameService, request: &Request<'_>) -> Outcome {
    let users = users(service, request)?;
    let name = AboutUser::parse(&request.command.ext)?.username.to_owned();
    let (acls, cx) = (service.acls.clone(), request.cx.clone());
    Ok(Reply::after(Work::new(move || {
        users.delete_beside(acls.as_deref(), &cx, &name)?;
        Ok(Reply::empty())
    })))
}

pub(crate) fn show(service: &NameService, request: &Request<'_>) -> Outcome {
    let users = users(service, request)?;
    let name = AboutUser::parse(&request.command.ext)?.username;
    // RocketMQ's `copyUser` takes an answer without a body for "no such user", and nothing else.
    Ok(users.find(name).map_or_else(Reply::empty, |user| Reply::body(rendered(&user).encode())))
}

pub(crate) fn list(service: &NameService, request: &Request<'_>) -> Outcome {
    let users = users(service, request)?;
    let filter = ListUsers::parse(&request.command.ext)?.filter.unwrap_or_default();
    let users: Vec<UserInfo> = users.list(filter).iter().map(rendered).collect();
    Ok(Reply::body(fastjson::write(&users)))
}

/// The users, if the caller may administer any.
fn users(service: &NameService, request: &Request<'_>) -> Result<Arc<dyn Users>, Error> {
    let users = service.users.as_ref().ok_or(Error::UnknownCode(request.command.code))?;
    users.administered(&request.cx.principal, request.hooks)?;
    Ok(Arc::clone(users))
}

fn rendered(user: &User) -> UserInfo {
    UserInfo::shown(&user.name, user.kind.name(), user.status_name())
}
