//! Reading records, borrowed from the bytes they lie in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, SysFlag, Timestamp};

use crate::draft::body_crc;
use crate::{Error, layout};

/// A record, borrowed. Every length in it has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// All bytes of the record.
    pub bytes: &'a [u8],
    /// What the record says its body's checksum is.
    pub body_crc: u32,
    /// The queue.
    pub queue: QueueId,
    /// The sender's flag.
    pub flag: i32,
    /// The place in the queue.
    pub queue_offset: QueueOffset,
    /// The place in the log.
    pub physical_offset: PhysicalOffset,
    /// System flags.
    pub sys_flag: SysFlag,
    /// When the sender made it.
    pub born_timestamp: Timestamp,
    /// The sender's address.
    pub born_host: SocketAddr,
    /// When it was stored.
    pub store_timestamp: Timestamp,
    /// The broker that stored it.
    pub store_host: SocketAddr,
    /// How often it was delivered before.
    pub reconsume_times: i32,
    /// The half message that this outcome belongs to, else 0.
    pub prepared_offset: i64,
    /// The payload.
    pub body: &'a [u8],
    /// The topic.
    pub topic: &'a str,
    /// The property text; empty if its bytes are not UTF-8.
    pub properties: &'a str,
}

/// What lies at a place of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked<'a> {
    /// A whole message.
    Message(View<'a>),
    /// The filler up to the end of the file.
    Filler,
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Error::Field(field))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Error::Field(field))?;
        self.0 = rest;
        Ok(*head)
    }

    fn i32(&mut self, field: &'static str) -> Result<i32, Error> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    fn i64(&mut self, field: &'static str) -> Result<i64, Error> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    fn u64(&mut self, field: &'static str) -> Result<u64, Error> {
        Ok(self.i64(field)?.try_into().unwrap_or(0))
    }

    fn host(&mut self, v6: bool, field: &'static str) -> Result<SocketAddr, Error> {
        let ip = if v6 {
            IpAddr::V6(Ipv6Addr::from(self.array::<16>(field)?))
        } else {
            IpAddr::V4(Ipv4Addr::from(self.array::<4>(field)?))
        };
        // RocketMQ stores the port as an int; no valid record has more than 16 bits in it.
        let port = u16::try_from(self.i32(field)?).map_err(|_| Error::Field(field))?;
        Ok(SocketAddr::new(ip, port))
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|b| u32::from_be_bytes(*b))
}

/// The size that the record at the start of `bytes` says it has.
#[must_use]
pub fn total_size(bytes: &[u8]) -> Option<usize> {
    be32(bytes, layout::TOTAL_SIZE).and_then(|n| usize::try_from(n).ok())
}

/// STORETIMESTAMP of the record at the start of `bytes`, of which [`layout::HEAD_LEN`] are enough.
#[must_use]
pub fn store_timestamp(bytes: &[u8]) -> Option<Timestamp> {
    if !matches!(be32(bytes, layout::MAGIC)?, layout::MAGIC_V1 | layout::MAGIC_V2) {
        return None;
    }
    let sys_flag = SysFlag(be32(bytes, layout::SYS_FLAG)?.cast_signed());
    let v6 = if sys_flag.has(SysFlag::BORN_HOST_V6) { layout::V6_EXTRA } else { 0 };
    let field = bytes.get(layout::BORN_HOST + 8 + v6..)?.first_chunk::<8>()?;
    Some(Timestamp(i64::from_be_bytes(*field)))
}

impl<'a> View<'a> {
    /// Reads the record at the start of `bytes`; more may follow it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let size = total_size(bytes).ok_or(Error::Short)?;
        let bytes = bytes.get(..size).ok_or(Error::Short)?;
        let mut at = Cursor(bytes);
        at.take(4, "total size")?;
        let magic = u32::from_be_bytes(at.array("magic")?);
        if !matches!(magic, layout::MAGIC_V1 | layout::MAGIC_V2) {
            return Err(Error::Magic(magic));
        }
        let crc = u32::from_be_bytes(at.array("body crc")?);
        let queue = QueueId::from_i32(at.i32("queue")?).ok_or(Error::Field("queue"))?;
        let flag = at.i32("flag")?;
        let queue_offset = QueueOffset(at.u64("queue offset")?);
        let physical_offset = PhysicalOffset(at.u64("physical offset")?);
        let sys_flag = SysFlag(at.i32("sys flag")?);
        let born_timestamp = Timestamp(at.i64("born timestamp")?);
        let born_host = at.host(sys_flag.has(SysFlag::BORN_HOST_V6), "born host")?;
        let store_timestamp = Timestamp(at.i64("store timestamp")?);
        let store_host = at.host(sys_flag.has(SysFlag::STORE_HOST_V6), "store host")?;
        let reconsume_times = at.i32("reconsume times")?;
        let prepared_offset = at.i64("prepared offset")?;
        let body_len = at.i32("body length")?;
        let body_len = usize::try_from(body_len).map_err(|_| Error::Field("body length"))?;
        let body = at.take(body_len, "body")?;
        let (topic, properties) = names(&mut at, magic)?;
        Ok(Self {
            bytes,
            body_crc: crc,
            queue,
            flag,
            queue_offset,
            physical_offset,
            sys_flag,
            born_timestamp,
            born_host,
            store_timestamp,
            store_host,
            reconsume_times,
            prepared_offset,
            body,
            topic,
            properties,
        })
    }

    /// The value of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a str> {
        blockhouse_model::properties::find(self.properties, name)
    }

    /// The property text as it is stored, whether it is UTF-8 or not.
    fn property_bytes(&self) -> &'a [u8] {
        let extra = |host: &SocketAddr| if host.is_ipv6() { layout::V6_EXTRA } else { 0 };
        let hosts = extra(&self.born_host) + extra(&self.store_host);
        let topic_len = if self.topic_len_is_wide() { 2 } else { 1 };
        let before = layout::FIXED_LEN + topic_len + hosts + self.body.len() + self.topic.len();
        self.bytes.get(before..).unwrap_or(&[])
    }

    fn topic_len_is_wide(&self) -> bool {
        be32(self.bytes, layout::MAGIC) == Some(layout::MAGIC_V2)
    }

    /// Whether the body has the checksum that the record carries.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        // RocketMQ checks no empty bodies.
        self.body.is_empty() || body_crc(self.body) == self.body_crc
    }
}

fn names<'a>(at: &mut Cursor<'a>, magic: u32) -> Result<(&'a str, &'a str), Error> {
    let topic_len = if magic == layout::MAGIC_V2 {
        u16::from_be_bytes(at.array("topic length")?)
    } else {
        u16::from(at.array::<1>("topic length")?[0])
    };
    let topic = at.take(usize::from(topic_len), "topic")?;
    let topic = std::str::from_utf8(topic).map_err(|_| Error::Field("topic"))?;
    let len = i16::from_be_bytes(at.array("properties length")?);
    let len = usize::try_from(len).map_err(|_| Error::Field("properties length"))?;
    let properties = at.take(len, "properties")?;
    if at.0.is_empty() {
        Ok((topic, std::str::from_utf8(properties).unwrap_or("")))
    } else {
        Err(Error::Field("total size"))
    }
}

/// Whether there are as many zeros in a row as a disk's sector has bytes.
fn has_empty_sector(bytes: &[u8]) -> bool {
    const SECTOR: usize = 512;
    let mut zeros = 0;
    bytes.len() >= SECTOR
        && bytes.iter().any(|byte| {
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
            zeros >= SECTOR
        })
}

/// Reads and verifies what lies at the start of `bytes`: size, magic number, lengths, checksum.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(bytes: &[u8]) -> Result<Checked<'_>, Error> {
    if be32(bytes, layout::MAGIC) == Some(layout::MAGIC_BLANK) {
        return Ok(Checked::Filler);
    }
    let view = View::parse(bytes)?;
    // The checksum covers the body alone. What a torn write left unwritten behind it reads as zeros:
    // up to the end of the properties, which no client ends with one, or whole sectors inside them.
    if view.topic.contains('\0') {
        return Err(Error::Field("topic"));
    }
    let properties = view.property_bytes();
    if properties.ends_with(&[0]) || has_empty_sector(properties) {
        return Err(Error::Field("properties"));
    }
    if view.is_intact() { Ok(Checked::Message(view)) } else { Err(Error::Crc) }
}

/// The records that lie back to back in `bytes`, as in a pull reply. Ends after the first error.
#[must_use]
pub const fn records(bytes: &[u8]) -> Records<'_> {
    Records { rest: bytes }
}

/// See [`records`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<View<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = View::parse(self.rest);
        self.rest = match item {
            Ok(view) => self.rest.get(view.bytes.len()..).unwrap_or(&[]),
            Err(_) => &[],
        };
        Some(item)
    }
}
