//! A message that is about to be stored, and its bytes.

use std::net::{IpAddr, SocketAddr};

use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, SysFlag, Timestamp};

use crate::{Error, layout};

/// A message that is about to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Where it goes.
    pub topic: &'a str,
    /// The queue of the topic.
    pub queue: QueueId,
    /// The sender's own flag.
    pub flag: i32,
    /// System flags; the two host bits are set by the encoder.
    pub sys_flag: SysFlag,
    /// When the sender made it.
    pub born_timestamp: Timestamp,
    /// The sender's address.
    pub born_host: SocketAddr,
    /// The address that this broker advertises.
    pub store_host: SocketAddr,
    /// How often it was delivered before.
    pub reconsume_times: i32,
    /// The half message that this outcome belongs to, else 0.
    pub prepared_offset: i64,
    /// The payload.
    pub body: &'a [u8],
    /// The property text.
    pub properties: &'a str,
    /// Whether the sender waits for disk and replicas (property WAIT; not stored as a field).
    pub wait: bool,
}

/// What is known only when a record gets its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The place in its queue; stored as 0 for prepared and rolled back messages.
    pub queue_offset: QueueOffset,
    /// The place in the log.
    pub physical_offset: PhysicalOffset,
    /// When the record was placed.
    pub store_timestamp: Timestamp,
}

const fn host_len(host: SocketAddr) -> usize {
    if host.is_ipv6() { 8 + layout::V6_EXTRA } else { 8 }
}

/// The size of the record of `draft`.
///
/// # Errors
/// The field that is too long for the layout.
pub fn encoded_len(draft: &Draft<'_>) -> Result<usize, Error> {
    let topic = draft.topic.len();
    if topic == 0 || topic > layout::TOPIC_V2_MAX {
        return Err(Error::Topic { max: layout::TOPIC_V2_MAX });
    }
    if draft.properties.len() > layout::PROPERTIES_MAX {
        return Err(Error::Properties { max: layout::PROPERTIES_MAX });
    }
    if draft.body.len() > layout::BODY_MAX {
        return Err(Error::Body { max: layout::BODY_MAX });
    }
    let hosts = host_len(draft.born_host) + host_len(draft.store_host) - 16;
    let topic_head = if topic > layout::TOPIC_V1_MAX { 2 } else { 1 };
    Ok(layout::FIXED_LEN + hosts + topic_head + topic + draft.body.len() + draft.properties.len())
}

/// The checksum that a record carries of its body.
#[must_use]
pub fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7FFF_FFFF
}

/// Appends the record of `draft` to `out` and returns its size. Queue offset, physical offset and
/// store timestamp are zero until [`stamp`].
///
/// # Errors
/// The field that is too long for the layout; nothing is appended then.
pub fn encode(draft: &Draft<'_>, out: &mut Vec<u8>) -> Result<usize, Error> {
    let size = encoded_len(draft)?;
    let wide = |n: usize| u32::try_from(n).map_err(|_| Error::Body { max: layout::BODY_MAX });
    let (size32, body32) = (wide(size)?, wide(draft.body.len())?);
    let short = |n: usize| u16::try_from(n).map_err(|_| Error::Field("length"));
    let (topic16, properties16) = (short(draft.topic.len())?, short(draft.properties.len())?);
    let v2 = draft.topic.len() > layout::TOPIC_V1_MAX;

    out.reserve(size);
    out.extend_from_slice(&size32.to_be_bytes());
    out.extend_from_slice(&(if v2 { layout::MAGIC_V2 } else { layout::MAGIC_V1 }).to_be_bytes());
    out.extend_from_slice(&body_crc(draft.body).to_be_bytes());
    out.extend_from_slice(&draft.queue.to_i32().to_be_bytes());
    out.extend_from_slice(&draft.flag.to_be_bytes());
    out.extend_from_slice(&[0; 16]);
    out.extend_from_slice(&host_flags(draft).0.to_be_bytes());
    out.extend_from_slice(&draft.born_timestamp.0.to_be_bytes());
    push_host(draft.born_host, out);
    out.extend_from_slice(&[0; 8]);
    push_host(draft.store_host, out);
    out.extend_from_slice(&draft.reconsume_times.to_be_bytes());
    out.extend_from_slice(&draft.prepared_offset.to_be_bytes());
    out.extend_from_slice(&body32.to_be_bytes());
    out.extend_from_slice(draft.body);
    let topic_head = topic16.to_be_bytes();
    out.extend_from_slice(if v2 { &topic_head } else { &topic_head[1..] });
    out.extend_from_slice(draft.topic.as_bytes());
    out.extend_from_slice(&properties16.to_be_bytes());
    out.extend_from_slice(draft.properties.as_bytes());
    Ok(size)
}

fn host_flags(draft: &Draft<'_>) -> SysFlag {
    let bit = |host: SocketAddr, bit: i32| if host.is_ipv6() { bit } else { 0 };
    draft
        .sys_flag
        .without(SysFlag::BORN_HOST_V6 | SysFlag::STORE_HOST_V6)
        .with(bit(draft.born_host, SysFlag::BORN_HOST_V6))
        .with(bit(draft.store_host, SysFlag::STORE_HOST_V6))
}

fn push_host(host: SocketAddr, out: &mut Vec<u8>) {
    match host.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&u32::from(host.port()).to_be_bytes());
}

/// Writes what is known now into an encoded record. A slice that is too short to be a record is
/// left alone.
pub fn stamp(record: &mut [u8], stamp: Stamp) {
    let Some(sys_flag) = record.get(layout::SYS_FLAG..).and_then(<[u8]>::first_chunk::<4>) else {
        return;
    };
    let sys_flag = SysFlag(i32::from_be_bytes(*sys_flag));
    let hidden = matches!(
        sys_flag.transaction(),
        SysFlag::TRANSACTION_PREPARED | SysFlag::TRANSACTION_ROLLBACK
    );
    let queue_offset = if hidden { 0 } else { stamp.queue_offset.0 };
    let v6 = if sys_flag.has(SysFlag::BORN_HOST_V6) { layout::V6_EXTRA } else { 0 };
    put8(record, layout::QUEUE_OFFSET, queue_offset.to_be_bytes());
    put8(record, layout::PHYSICAL_OFFSET, stamp.physical_offset.0.to_be_bytes());
    put8(record, layout::BORN_HOST + 8 + v6, stamp.store_timestamp.0.to_be_bytes());
}

fn put8(record: &mut [u8], at: usize, bytes: [u8; 8]) {
    if let Some(field) = record.get_mut(at..at + 8) {
        field.copy_from_slice(&bytes);
    }
}
