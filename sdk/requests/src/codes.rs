//! What who administers users and ACLs is answered, by the broker and by the name server alike.

use blockhouse_hook::{AclError, UserError};
use blockhouse_protocol::codes::response_code as code;

/// The code of RocketMQ for a user that is not made, changed or deleted.
#[must_use]
pub const fn of_user_error(error: &UserError) -> i32 {
    match error {
        UserError::Missing(_) => code::USER_NOT_EXIST,
        UserError::Exists(_) | UserError::Invalid(_) => code::INVALID_PARAMETER,
        UserError::Forbidden(_) => code::NO_PERMISSION,
        UserError::NotSaved(_) => code::SYSTEM_ERROR,
        UserError::Acl(error) | UserError::AclLeft(error) => of_acl_error(error),
    }
}

/// The same for ACLs.
#[must_use]
pub const fn of_acl_error(error: &AclError) -> i32 {
    match error {
        AclError::NoUser(_) => code::USER_NOT_EXIST,
        AclError::Missing(_) => code::POLICY_NOT_EXIST,
        AclError::Forbidden(_) => code::NO_PERMISSION,
        AclError::Invalid(_) => code::INVALID_PARAMETER,
        AclError::NotSaved(_) => code::SYSTEM_ERROR,
    }
}
