//! Who sent what nobody looks into.

use blockhouse_model::{Principal, RequestContext};
use blockhouse_transport::Connection;

/// All that is known of who sent a request of an unknown `code` is the connection, and its
/// certificate.
#[must_use]
pub fn stranger(connection: &Connection, code: i32) -> RequestContext {
    let mut cx = RequestContext::new(connection.peer(), connection.id(), code);
    cx.secure = connection.is_secure();
    cx.certificate = connection.certificate();
    // Without an access key there is nothing that the certificate could contradict.
    let _always = cx.identify(Principal::Anonymous, "");
    cx
}
