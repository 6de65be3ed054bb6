//! Options over the wire, as properties text (318, 319).

use tracing::info;

use crate::reply::{Outcome, Reply};
use crate::request::Request;
use crate::{Error, NameService, properties};

/// Never to be changed over the wire, whether they exist here or not.
const FIXED: [&str; 4] = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

/// All or nothing: if one option is refused, none is changed. RocketMQ passes over options that it
/// does not have; here they are named.
pub(crate) fn update(service: &NameService, request: &Request<'_>) -> Outcome {
    let text = std::str::from_utf8(&request.command.body).map_err(|_| Error::Properties)?;
    let wanted = properties::parse(text).ok_or(Error::Properties)?;
    let fixed =
        |key: &String| FIXED.contains(&key.as_str()) || service.fixed_options.contains_key(key);
    if wanted.keys().any(fixed) {
        return Err(Error::FixedOption);
    }
    let mut settings = service.settings.write();
    let mut changed = settings.clone();
    for (name, value) in &wanted {
        changed = changed.with(name, value)?;
    }
    service.routes.write().choose(changed.policy());
    *settings = changed;
    drop(settings);
    info!(options = ?wanted, peer = %request.cx.peer, "options changed until the next start");
    Ok(Reply::empty())
}

pub(crate) fn get(service: &NameService, _: &Request<'_>) -> Outcome {
    let mut options = service.fixed_options.clone();
    options.extend(service.settings().by_name());
    Ok(Reply::body(properties::render(&options)))
}
