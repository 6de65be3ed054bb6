//! ACLs (3006 to 3010), as brokers have them: a name server asks policies of its own.

use std::sync::Arc;

use blockhouse_hook::{AclError, Acls};
use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::body::acl::AclInfo;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::acl::{AboutAcl, DeleteAcl, ListAcls};

use crate::reply::{Outcome, Reply, Work};
use crate::request::Request;
use crate::{Error, NameService};

/// RocketMQ's tools add to what is there with either request.
pub(crate) fn put(service: &NameService, request: &Request<'_>) -> Outcome {
    let acls = acls(service, request)?;
    let subject = AboutAcl::parse(&request.command.ext)?.subject;
    let info = AclInfo::decode(&request.command.body)?;
    let acl = info.acl(subject).map_err(|why| AclError::Invalid(why.to_owned()))?;
    let cx = request.cx.clone();
    Ok(Reply::after(Work::new(move || {
        acls.put(&cx, &acl)?;
        Ok(Reply::empty())
    })))
}

pub(crate) fn delete(service: &NameService, request: &Request<'_>) -> Outcome {
    let acls = acls(service, request)?;
    let DeleteAcl { subject, policy_type, resource } = DeleteAcl::parse(&request.command.ext)?;
    let policy_type = policy_type.unwrap_or_default().to_owned();
    let (subject, resource) = (subject.to_owned(), resource.map(str::to_owned));
    let cx = request.cx.clone();
    Ok(Reply::after(Work::new(move || {
        acls.delete(&cx, &subject, &policy_type, resource.as_deref())?;
        Ok(Reply::empty())
    })))
}

pub(crate) fn show(service: &NameService, request: &Request<'_>) -> Outcome {
    let acls = acls(service, request)?;
    let found = acls.find(AboutAcl::parse(&request.command.ext)?.subject)?;
    Ok(found.map_or_else(Reply::empty, |acl| Reply::body(AclInfo::of(&acl).encode())))
}

pub(crate) fn list(service: &NameService, request: &Request<'_>) -> Outcome {
    let acls = acls(service, request)?;
    let ListAcls { subject_filter, resource_filter } = ListAcls::parse(&request.command.ext)?;
    let filters = [subject_filter, resource_filter].map(|text| text.unwrap_or_default().to_owned());
    // There may be many, and to write them all down takes its time.
    Ok(Reply::after(Work::new(move || {
        let [subjects, resources] = filters;
        let all: Vec<AclInfo> = acls.list(&subjects, &resources).iter().map(AclInfo::of).collect();
        // Java sends no body for none.
        Ok(if all.is_empty() { Reply::empty() } else { Reply::body(fastjson::write(&all)) })
    })))
}

fn acls(service: &NameService, request: &Request<'_>) -> Result<Arc<dyn Acls>, Error> {
    service.acls.clone().ok_or(Error::UnknownCode(request.command.code))
}
