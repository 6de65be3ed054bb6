//! From failure to response code, in one place.

use blockhouse_protocol::codes::response_code as code;
use blockhouse_requests::codes;

use crate::Error;

/// The response code of a failure. Those of RocketMQ, which for anything malformed is
/// `SYSTEM_ERROR`; the remark says what it is about.
#[must_use]
pub fn response_code(error: &Error) -> i32 {
    match error {
        Error::UnknownCode(_) => code::REQUEST_CODE_NOT_SUPPORTED,
        Error::Refused(rejection) | Error::NotAuthenticated(rejection) => {
            rejection.code.unwrap_or(code::NO_PERMISSION)
        }
        Error::User(error) => codes::of_user_error(error),
        Error::Acl(error) => codes::of_acl_error(error),
        Error::NoRoute(_) => code::TOPIC_NOT_EXIST,
        Error::NoKey { .. } | Error::NoNamespace(_) => code::QUERY_NOT_FOUND,
        Error::FixedOption => code::NO_PERMISSION,
        Error::UnknownOption(_) | Error::OptionValue { .. } => code::INVALID_PARAMETER,
        Error::BodyTooLong { .. } => code::MESSAGE_ILLEGAL,
        Error::Field(_)
        | Error::Body(_)
        | Error::Name { .. }
        | Error::BrokerId(_)
        | Error::Checksum
        | Error::FullReportFirst
        | Error::Full
        | Error::Kv(_)
        | Error::NotSaved(_)
        | Error::NotReady
        | Error::Disabled
        | Error::Properties => code::SYSTEM_ERROR,
    }
}
