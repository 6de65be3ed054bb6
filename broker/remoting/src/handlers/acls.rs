//! ACLs: put, delete, show. What an entry may say is for those to judge who ask it.

use std::sync::Arc;

use blockhouse_hook::{AclError, Acls};
use blockhouse_protocol::body::acl::AclInfo;
use blockhouse_protocol::codes::response_code as code;
use blockhouse_protocol::fastjson;
use blockhouse_protocol::header::acl::{AboutAcl, DeleteAcl, ListAcls};
use blockhouse_requests::codes;

use crate::call::OwnedCall;
use crate::response::{Answer, Failure, Response};

/// RocketMQ's tools add to what is there with either request.
pub(crate) fn put(call: OwnedCall) -> Answer {
    at_leisure(call, |acls, call| {
        let subject = AboutAcl::parse(&call.command.ext)?.subject;
        let info: AclInfo = fastjson::read(&call.command.body)?;
        let acl = info.acl(subject).map_err(|why| failure(&AclError::Invalid(why.to_owned())))?;
        acls.put(&call.cx, &acl).map_err(|error| failure(&error))?;
        Ok(Response::ok())
    })
}

pub(crate) fn delete(call: OwnedCall) -> Answer {
    at_leisure(call, |acls, call| {
        let DeleteAcl { subject, policy_type, resource } = DeleteAcl::parse(&call.command.ext)?;
        acls.delete(&call.cx, subject, policy_type.unwrap_or_default(), resource)
            .map_err(|error| failure(&error))?;
        Ok(Response::ok())
    })
}

pub(crate) fn show(call: OwnedCall) -> Answer {
    Box::pin(async move {
        let acls = acls(&call)?;
        let subject = AboutAcl::parse(&call.command.ext)?.subject;
        let found = acls.find(subject).map_err(|error| failure(&error))?;
        Ok(found
            .map_or_else(Response::ok, |acl| Response::body(fastjson::write(&AclInfo::of(&acl)))))
    })
}

pub(crate) fn list(call: OwnedCall) -> Answer {
    at_leisure(call, |acls, call| {
        let ListAcls { subject_filter, resource_filter } = ListAcls::parse(&call.command.ext)?;
        let found =
            acls.list(subject_filter.unwrap_or_default(), resource_filter.unwrap_or_default());
        let all: Vec<AclInfo> = found.iter().map(AclInfo::of).collect();
        // Java sends no body for none.
        Ok(if all.is_empty() { Response::ok() } else { Response::body(fastjson::write(&all)) })
    })
}

/// Does it where waiting for the disk, or a long list, delays nobody.
fn at_leisure(
    call: OwnedCall,
    work: impl FnOnce(&dyn Acls, &OwnedCall) -> Result<Response, Failure> + Send + 'static,
) -> Answer {
    Box::pin(async move {
        let acls = acls(&call)?;
        let done = tokio::task::spawn_blocking(move || work(&*acls, &call)).await;
        done.unwrap_or_else(|_stopping| {
            Err(Failure::new(code::SYSTEM_BUSY, "the broker is stopping"))
        })
    })
}

fn acls(call: &OwnedCall) -> Result<Arc<dyn Acls>, Failure> {
    call.node.acls().ok_or_else(|| {
        let remark = "this broker has no ACLs: policies are off (authz.enabled)";
        Failure::new(code::REQUEST_CODE_NOT_SUPPORTED, remark)
    })
}

fn failure(error: &AclError) -> Failure {
    Failure::new(codes::of_acl_error(error), error.to_string())
}
