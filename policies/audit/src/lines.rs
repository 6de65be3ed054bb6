//! The lines of a segment, one after the other, in bounded memory.

use std::io;
use std::sync::Arc;

use blockhouse_disk::DiskFile;

use crate::record::RECORD_MAX;

const READ: usize = 256 << 10;

/// Reads a file's lines.
pub(crate) struct Lines {
    file: Arc<dyn DiskFile>,
    /// Where `buf` begins.
    at: u64,
    buf: Vec<u8>,
    /// What of `buf` was handed out.
    done: usize,
}

/// What stands in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A line, without its end.
    Whole(&'a [u8]),
    /// The rest of the file, which has no line end.
    Torn(u64),
    /// More than a record can have.
    TooLong,
}

impl Lines {
    pub(crate) const fn of(file: Arc<dyn DiskFile>, at: u64) -> Self {
        Self { file, at, buf: Vec::new(), done: 0 }
    }

    /// Where the next line begins.
    pub(crate) const fn at(&self) -> u64 {
        self.at + self.done as u64
    }

    /// The next line; `None` at the end of the file, which may have grown when it is asked again.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut looked = 0;
        loop {
            let rest = &self.buf[self.done..];
            if let Some(end) = rest[looked..].iter().position(|b| *b == b'\n') {
                let begin = self.done;
                self.done += looked + end + 1;
                return Ok(Some(Line::Whole(&self.buf[begin..self.done - 1])));
            }
            if rest.len() > RECORD_MAX {
                return Ok(Some(Line::TooLong));
            }
            looked = rest.len();
            if !self.fill()? {
                return Ok((looked > 0).then_some(Line::Torn(looked as u64)));
            }
        }
    }

    /// Reads on; false at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        self.at += self.done as u64;
        self.buf.drain(..self.done);
        self.done = 0;
        let had = self.buf.len();
        self.buf.resize(had + READ, 0);
        let read = self.file.read_at(&mut self.buf[had..], self.at + had as u64);
        self.buf.truncate(had + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use blockhouse_disk::{Disk as _, MemDisk};

    use super::*;

    #[test]
    fn lines_are_found_across_reads_and_as_the_file_grows() {
        let file = MemDisk::new().create(Path::new("/f")).unwrap();
        let long = "x".repeat(RECORD_MAX);
        let text = format!("{long}\n").repeat(20);
        file.write_at(text.as_bytes(), 0).unwrap();
        let mut lines = Lines::of(Arc::clone(&file), 0);
        for n in 0..20 {
            assert_eq!(lines.at(), n * (RECORD_MAX as u64 + 1));
            assert_eq!(lines.next().unwrap(), Some(Line::Whole(long.as_bytes())));
        }
        assert_eq!(lines.next().unwrap(), None);
        let end = lines.at();
        file.write_at(b"ab", end).unwrap();
        assert_eq!(lines.next().unwrap(), Some(Line::Torn(2)));
        file.write_at(b"c\n", end + 2).unwrap();
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"abc")));
        file.write_at(format!("{long}y").as_bytes(), end + 4).unwrap();
        assert_eq!(lines.next().unwrap(), Some(Line::TooLong));
    }
}
