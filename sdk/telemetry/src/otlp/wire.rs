//! Fields of protobuf, written one after the other. What has a length is either known to be as long, or was written
//! elsewhere before.

/// The kinds of fields.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// Writes fields to the end of it.
pub(super) trait Wire {
    /// A number, in as few bytes as it takes.
    fn varint(&mut self, number: u64);
    /// Bytes, with their length before them.
    fn bytes(&mut self, field: u32, bytes: &[u8]);
    /// The beginning of so many bytes that follow.
    fn begin(&mut self, field: u32, len: usize);
    /// A number as a field.
    fn number(&mut self, field: u32, number: u64);
    /// A number of eight bytes.
    fn fixed64(&mut self, field: u32, number: u64);
    /// A number of four bytes.
    fn fixed32(&mut self, field: u32, number: u32);
}

const fn key(field: u32, kind: u32) -> u64 {
    (field << 3 | kind) as u64
}

/// How many bytes a number takes.
pub(super) const fn varint_len(number: u64) -> usize {
    // Seven bits a byte, and one byte for none.
    (70 - (number | 1).leading_zeros() as usize) / 7
}

/// How many bytes a field of so many bytes takes, for fields below 16.
pub(super) const fn bytes_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

impl Wire for Vec<u8> {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.push((number & 0x7f) as u8);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.begin(field, bytes.len());
        self.extend_from_slice(bytes);
    }

    fn begin(&mut self, field: u32, len: usize) {
        self.varint(key(field, DELIMITED));
        self.varint(len as u64);
    }

    fn number(&mut self, field: u32, number: u64) {
        self.varint(key(field, VARINT));
        self.varint(number);
    }

    fn fixed64(&mut self, field: u32, number: u64) {
        self.varint(key(field, FIXED64));
        self.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u32, number: u32) {
        self.varint(key(field, FIXED32));
        self.extend_from_slice(&number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::encoding::{encode_varint, encoded_len_varint};

    #[test]
    fn numbers_are_as_long_as_said_and_as_others_write_them() {
        for shift in 0..64 {
            for number in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                ours.varint(number);
                encode_varint(number, &mut theirs);
                assert_eq!((&ours, varint_len(number)), (&theirs, encoded_len_varint(number)));
            }
        }
    }
}
