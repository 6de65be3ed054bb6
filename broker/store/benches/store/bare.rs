//! The bare loops that the store is compared with.

use std::sync::Arc;

use blockhouse_disk::{Disk, DiskFile, RealDisk};

use crate::rig::Scratch;

/// Where they go on to the next file.
const FILE_LEN: u64 = 1 << 30;

/// Files prepared as the store prepares its own, one after the other, and where the next write goes.
pub(crate) struct Bare<'a> {
    scratch: &'a Scratch,
    number: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    at: u64,
}

impl<'a> Bare<'a> {
    pub(crate) fn new(scratch: &'a Scratch) -> Self {
        Self { scratch, number: 0, file: Self::prepare(scratch, 0), at: 0 }
    }

    fn prepare(scratch: &Scratch, number: u64) -> Arc<dyn DiskFile> {
        let file = RealDisk.create(&scratch.path().join(number.to_string())).expect("creates");
        file.allocate(FILE_LEN).expect("there is room");
        file
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.at + bytes.len() as u64 > FILE_LEN {
            self.number += 1;
            self.file = Self::prepare(self.scratch, self.number);
            self.at = 0;
        }
        self.file.write_at(bytes, self.at).expect("writes");
        self.at += bytes.len() as u64;
    }
}
