//! Magic numbers and fixed positions of a record. All numbers are big-endian.

/// A message whose topic length is one byte.
pub const MAGIC_V1: u32 = 0xDAA3_20A7;
/// A message whose topic length is two bytes (topics longer than 127 bytes).
pub const MAGIC_V2: u32 = 0xDAA3_20AB;
/// The filler at the end of a CommitLog file.
pub const MAGIC_BLANK: u32 = 0xCBD4_3194;
/// Size of the filler that is really written: its length and magic number.
pub const FILLER_LEN: usize = 8;

/// Longest topic of a version 1 record.
pub const TOPIC_V1_MAX: usize = 127;
/// Longest topic of a version 2 record (a signed 16-bit length).
pub const TOPIC_V2_MAX: usize = 32_767;
/// Longest property text (a signed 16-bit length).
pub const PROPERTIES_MAX: usize = 32_767;
/// Longest body that this crate encodes. Stores set a lower limit of their own.
pub const BODY_MAX: usize = 1 << 30;

/// Bytes of a record with IPv4 hosts, without topic length, topic, body and properties.
pub const FIXED_LEN: usize = 90;
/// How much longer an IPv6 host is than an IPv4 host.
pub const V6_EXTRA: usize = 12;

/// Position of TOTALSIZE.
pub const TOTAL_SIZE: usize = 0;
/// Position of the magic number.
pub const MAGIC: usize = 4;
/// Position of BODYCRC.
pub const BODY_CRC: usize = 8;
/// Position of QUEUEID.
pub const QUEUE_ID: usize = 12;
/// Position of FLAG.
pub const FLAG: usize = 16;
/// Position of QUEUEOFFSET.
pub const QUEUE_OFFSET: usize = 20;
/// Position of PHYSICALOFFSET.
pub const PHYSICAL_OFFSET: usize = 28;
/// Position of SYSFLAG.
pub const SYS_FLAG: usize = 36;
/// Position of BORNTIMESTAMP.
pub const BORN_TIMESTAMP: usize = 40;
/// Position of BORNHOST; everything after it moves with its length.
pub const BORN_HOST: usize = 48;
/// Bytes from a record's start that always hold STORETIMESTAMP, whatever the hosts.
pub const HEAD_LEN: usize = BORN_HOST + 20 + 8;
