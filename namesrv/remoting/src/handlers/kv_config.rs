//! The KV configuration (100, 101, 102, 219).

use blockhouse_protocol::body::Body as _;
use blockhouse_protocol::header::namesrv::{
    DeleteKvConfig, GetKvConfig, GetKvListByNamespace, PutKvConfig,
};
use tracing::info;

use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::{Error, NameService, view};

pub(crate) fn put(service: &NameService, request: &Request<'_>) -> Outcome {
    let PutKvConfig { namespace, key, value } = PutKvConfig::parse(&request.command.ext)?;
    service.kv.change(|kv| kv.put(namespace, key, value))?;
    info!(namespace, key, peer = %request.cx.peer, "KV entry set");
    Ok(Reply { after_save: true, ..Reply::empty() })
}

pub(crate) fn get(service: &NameService, request: &Request<'_>) -> Outcome {
    let GetKvConfig { namespace, key } = GetKvConfig::parse(&request.command.ext)?;
    let value = service.kv.read(|kv| kv.value(namespace, key).map(str::to_owned));
    let missing = || Error::NoKey { namespace: namespace.to_owned(), key: key.to_owned() };
    Ok(Reply::empty().field("value", &value.ok_or_else(missing)?))
}

pub(crate) fn delete(service: &NameService, request: &Request<'_>) -> Outcome {
    let DeleteKvConfig { namespace, key } = DeleteKvConfig::parse(&request.command.ext)?;
    // Deleting what is not there succeeds, as in RocketMQ; then there is nothing to save.
    let after_save = service.kv.change(|kv| kv.delete(namespace, key));
    info!(namespace, key, found = after_save, peer = %request.cx.peer, "KV entry deleted");
    Ok(Reply { after_save, ..Reply::empty() })
}

pub(crate) fn list(service: &NameService, request: &Request<'_>) -> Outcome {
    let namespace = GetKvListByNamespace::parse(&request.command.ext)?.namespace;
    let body = service.kv.read(|kv| kv.namespace(namespace).map(view::kv_table));
    let body = body.ok_or_else(|| Error::NoNamespace(namespace.to_owned()))?;
    Ok(Reply::body(body.encode()))
}
