//! What RocketMQ's ACL signs.

use crate::RemotingCommand;
use crate::codes::version;
use crate::header::message::UNIQUE_KEY_QUERY;

/// The field that names who signed.
pub const ACCESS_KEY: &str = "AccessKey";
/// The field that holds the signature.
pub const SIGNATURE: &str = "Signature";

/// The bytes that a client signs before the body: the values of all fields in the order of their
/// names. The signature itself is not among them, and clients up to 4.9.3 leave one field out that
/// they add after signing.
#[must_use]
pub fn signed_fields(command: &RemotingCommand) -> Vec<u8> {
    let unsigned = |name: &str| {
        name == SIGNATURE || name == UNIQUE_KEY_QUERY && command.version <= version::V4_9_3
    };
    let mut fields: Vec<_> = command.ext.iter().filter(|(name, _)| !unsigned(name)).collect();
    fields.sort_by_key(|(name, _)| *name);
    fields.iter().flat_map(|(_, value)| value.bytes()).collect()
}
