//! Refusals and outcomes of the core as RocketMQ's response codes. The one place where they meet.

use blockhouse_core::pull::{PullOutcome, PullStatus};
use blockhouse_core::{Forbidden, RefusalKind};
use blockhouse_protocol::codes::response_code as code;
use blockhouse_protocol::header::pull::forbidden;
use blockhouse_store::{ReadStatus, Settled};

/// The code of a refusal. Producers try another broker for 1, 2, 14, 16 and 17 only, so a kind's
/// code decides whether a send is retried.
pub const fn of(kind: RefusalKind) -> i32 {
    match kind {
        RefusalKind::SystemError => code::SYSTEM_ERROR,
        RefusalKind::SystemBusy => code::SYSTEM_BUSY,
        RefusalKind::NotSupported => code::REQUEST_CODE_NOT_SUPPORTED,
        RefusalKind::MessageIllegal => code::MESSAGE_ILLEGAL,
        RefusalKind::ServiceNotAvailable => code::SERVICE_NOT_AVAILABLE,
        RefusalKind::NoPermission(_) => code::NO_PERMISSION,
        RefusalKind::TopicNotExist => code::TOPIC_NOT_EXIST,
        RefusalKind::InvalidParameter => code::INVALID_PARAMETER,
        RefusalKind::GroupNotExist => code::SUBSCRIPTION_GROUP_NOT_EXIST,
        RefusalKind::SubscriptionNotExist => code::SUBSCRIPTION_NOT_EXIST,
        RefusalKind::SubscriptionNotLatest => code::SUBSCRIPTION_NOT_LATEST,
        RefusalKind::SubscriptionParseFailed => code::SUBSCRIPTION_PARSE_FAILED,
        RefusalKind::NotFound => code::QUERY_NOT_FOUND,
        RefusalKind::ConsumerNotOnline => code::CONSUMER_NOT_ONLINE,
        RefusalKind::ConsumeTimeout => code::CONSUME_MSG_TIMEOUT,
        RefusalKind::BroadcastConsumption => code::BROADCAST_CONSUMPTION,
        RefusalKind::Chosen(code) => code,
    }
}

/// The code of a stored message. All but the last count as stored to clients.
pub(crate) const fn of_settled(settled: Settled) -> i32 {
    match settled {
        Settled::PutOk => code::SUCCESS,
        Settled::FlushDiskTimeout => code::FLUSH_DISK_TIMEOUT,
        Settled::FlushSlaveTimeout => code::FLUSH_SLAVE_TIMEOUT,
        Settled::SlaveNotAvailable => code::SLAVE_NOT_AVAILABLE,
        Settled::Failed => code::SERVICE_NOT_AVAILABLE,
    }
}

/// The code of a pull and the remark that goes with it (RocketMQ's name of the status).
pub(crate) const fn of_pull(outcome: &PullOutcome) -> (i32, &'static str) {
    let PullStatus::Read(status) = outcome.status else {
        return (code::PULL_OFFSET_MOVED, "OFFSET_RESET");
    };
    let empty = if outcome.from_zero { code::PULL_NOT_FOUND } else { code::PULL_OFFSET_MOVED };
    match status {
        ReadStatus::Found => (code::SUCCESS, "FOUND"),
        ReadStatus::NoMatch => (code::PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE"),
        ReadStatus::WouldBlock | ReadStatus::MessageWasRemoving => {
            (code::PULL_RETRY_IMMEDIATELY, "MESSAGE_WAS_REMOVING")
        }
        // Clients ask again after a pause.
        ReadStatus::Failed => (code::SYSTEM_ERROR, "the store could not read: the disk fails"),
        ReadStatus::OffsetFoundNull => (code::PULL_NOT_FOUND, "OFFSET_FOUND_NULL"),
        ReadStatus::OffsetOverflowOne => (code::PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE"),
        ReadStatus::OffsetOverflowBadly => (code::PULL_OFFSET_MOVED, "OFFSET_OVERFLOW_BADLY"),
        ReadStatus::OffsetTooSmall => (code::PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL"),
        ReadStatus::NoSuchQueue => (empty, "NO_MATCHED_LOGIC_QUEUE"),
        ReadStatus::NoMessages => (empty, "NO_MESSAGE_IN_QUEUE"),
    }
}

/// The `forbiddenType` field, where RocketMQ has a number for it.
pub(crate) const fn forbidden_type(what: Forbidden) -> Option<i64> {
    let kind = match what {
        Forbidden::Other => return None,
        Forbidden::Broker => forbidden::BROKER,
        Forbidden::Group => forbidden::GROUP,
        Forbidden::Topic => forbidden::TOPIC,
        Forbidden::Broadcasting => forbidden::BROADCASTING_DISABLED,
        Forbidden::Subscription => forbidden::SUBSCRIPTION,
    };
    Some(kind as i64)
}
