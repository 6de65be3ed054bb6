//! Taking entries and files of queues away.

use std::io;

use blockhouse_disk::DiskFile;

use super::{QueueFiles, UNIT_LEN_U64};
use crate::Error;
use crate::queue::Queue;

/// Bytes that are looked at and overwritten at once.
const PAGE: usize = 4 << 10;
/// Pages with data that are overwritten; more are given back to the filesystem.
const OVERWRITTEN_MAX: usize = 16;

/// Sets a file's data from `at` on to zeros. A little data is overwritten: to give its room back and
/// take it again costs the filesystem more than all else when there are many files.
fn wipe(file: &dyn DiskFile, mut at: u64) -> io::Result<()> {
    for _ in 0..OVERWRITTEN_MAX {
        let Some(next) = file.next_data(at)? else { return Ok(()) };
        at = at.max(next);
        let inside = usize::try_from(at % PAGE as u64).unwrap_or(0);
        let mut page = [0; PAGE];
        let n = file.read_at(&mut page[inside..], at)?;
        if n == 0 {
            return Ok(());
        }
        if page.iter().any(|byte| *byte != 0) {
            page.fill(0);
            file.write_at(&page[inside..inside + n], at)?;
        }
        at += n as u64;
    }
    if file.next_data(at)?.is_some() { file.zero_from(at) } else { Ok(()) }
}

impl QueueFiles {
    /// Removes all entries from `max` on, which are about to be written again: like
    /// [`QueueFiles::cut`], but a queue's only file stays. Making 100,000 files anew takes minutes on
    /// a busy disk.
    pub(crate) fn clear(&self, queue: &Queue, max: u64) -> Result<(), Error> {
        match self.numbers(queue)?[..] {
            [] => Ok(()),
            [only] => self.wipe_from(queue, only, max.max(only * self.per_file)),
            _ => self.cut(queue, max),
        }
    }

    /// Sets the entries of one file from `max` on to zeros. Never shorter in between: a crash may
    /// leave any length that a file once had.
    fn wipe_from(&self, queue: &Queue, number: u64, max: u64) -> Result<(), Error> {
        let start = number * self.per_file;
        if max >= start + self.per_file {
            return Ok(());
        }
        self.file(queue, number, false)
            .and_then(|file| wipe(&*file, (max - start) * UNIT_LEN_U64))
            .map_err(Error::io("cut", &self.path(queue, number)))
    }

    /// Removes all entries from `max` on.
    pub(crate) fn cut(&self, queue: &Queue, max: u64) -> Result<(), Error> {
        for number in self.numbers(queue)? {
            let path = self.path(queue, number);
            let start = number * self.per_file;
            if start >= max {
                self.open.lock().forget(queue.uid);
                self.disk.remove(&path).map_err(Error::io("remove", &path))?;
            } else {
                self.wipe_from(queue, number, max)?;
            }
        }
        Ok(())
    }

    /// Removes files that hold only entries before `min`, but never the last. Gives how many.
    pub(crate) fn remove_before(&self, queue: &Queue, min: u64) -> Result<usize, Error> {
        let numbers = self.numbers(queue)?;
        let mut removed = 0;
        for number in numbers.iter().take(numbers.len().saturating_sub(1)) {
            if (number + 1) * self.per_file <= min {
                let path = self.path(queue, *number);
                self.disk.remove(&path).map_err(Error::io("remove", &path))?;
                removed += 1;
            }
        }
        if removed > 0 {
            self.open.lock().forget(queue.uid);
        }
        Ok(removed)
    }

    /// Lets go of a queue's open files.
    pub(crate) fn forget(&self, queue: &Queue) {
        self.open.lock().forget(queue.uid);
    }

    /// Removes a topic's directory.
    pub(crate) fn remove_topic(&self, topic: &str) -> Result<(), Error> {
        let dir = self.root.join(topic);
        self.disk.remove_dir(&dir).map_err(Error::io("remove", &dir))
    }

    /// Removes everything.
    pub(crate) fn remove_all(&self) -> Result<(), Error> {
        self.disk.remove_dir(&self.root).map_err(Error::io("remove", &self.root))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use blockhouse_disk::{Disk, MemDisk, RealDisk};

    use super::*;

    #[test]
    fn what_is_wiped_reads_as_zeros_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let len = 80 * PAGE;
        for disk in [&RealDisk as &dyn Disk, &MemDisk::new()] {
            for (from, data) in [
                (0, 0..1),
                (0, 0..len),
                (5, 0..10),
                (PAGE - 1, 100..3 * PAGE),
                (7 * PAGE + 9, 0..len),
                (60 * PAGE, 0..PAGE),
                (0, 70 * PAGE + 1..70 * PAGE + 2),
            ] {
                let file = disk.create(&dir.path().join(Path::new("f"))).unwrap();
                file.set_len(0).unwrap();
                file.set_len(len as u64).unwrap();
                file.write_at(&vec![7; data.len()], data.start as u64).unwrap();
                wipe(&*file, from as u64).unwrap();
                let mut bytes = vec![9; len + 1];
                assert_eq!(file.read_at(&mut bytes, 0).unwrap(), len);
                let is_right = |(at, byte): (usize, &u8)| {
                    (*byte == 7) == (data.contains(&at) && at < from) && (*byte == 7 || *byte == 0)
                };
                assert!(bytes[..len].iter().enumerate().all(is_right), "{from} {data:?}");
            }
        }
    }
}
