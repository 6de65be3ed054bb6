//! What a client in plaintext hears where only TLS is served.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_protocol::codes::response_code::NO_PERMISSION;
use blockhouse_protocol::{RemotingCommand, encode};

use crate::{Connection, Endpoint, Limits, NoSessions, Replies, Service};

/// A client shows the remark of an answer; of a connection that was only closed it knows nothing.
const REMARK: &str = "this port takes TLS only (tls.mode = enforcing): set tls.enable=true, or \
                      useTLS, on the client";
/// Longest request that is read to be refused.
const FRAME_LEN_MAX: usize = 256 * 1024;
/// How long such a connection lives: a client that tries again at once hears the same again.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Refuses whatever is asked.
struct TlsOnly;

impl Service for TlsOnly {
    fn burst(&self, _: &Arc<Connection>, burst: &mut Vec<RemotingCommand>, replies: &mut Replies) {
        for command in burst.drain(..).filter(|command| !command.is_one_way()) {
            let head = encode::ResponseHead::new(command.opaque, NO_PERMISSION, Some(REMARK));
            encode::response(replies.frames(), &head, |_| {}, 0);
        }
    }
}

/// An endpoint of nothing, that shares budget and counts with the real one.
pub(super) fn endpoint(real: &Endpoint) -> Endpoint {
    let limits = Limits {
        frame_len_max: real.limits.frame_len_max.min(FRAME_LEN_MAX),
        ..real.limits.clone()
    };
    Endpoint {
        service: Arc::new(TlsOnly),
        sessions: Arc::new(NoSessions),
        limits,
        budget: Arc::clone(&real.budget),
        counts: Arc::clone(&real.counts),
        tls: None,
    }
}
