//! The lines of a large file, one after the other, in bounded memory.

use std::sync::Arc;

use anyhow::ensure;
use blockhouse_disk::DiskFile;

const READ: usize = 256 << 10;
/// Longest line: the largest message that a broker takes, with its body in hexadecimal digits or escaped.
const LINE_MAX: usize = 64 << 20;

/// Hands each line to `visit`, without its end. The last one needs none.
pub(super) fn each(file: &Arc<dyn DiskFile>, visit: &mut dyn FnMut(&[u8])) -> anyhow::Result<()> {
    let (mut at, mut buf, mut looked) = (0_u64, Vec::new(), 0);
    loop {
        let had = buf.len();
        buf.resize(had + READ, 0);
        let read = file.read_at(buf.get_mut(had..).unwrap_or_default(), at)?;
        buf.truncate(had + read);
        at += read as u64;
        let mut begin = 0;
        while let Some(len) =
            buf.get(begin.max(looked)..).and_then(|rest| rest.iter().position(|b| *b == b'\n'))
        {
            let end = begin.max(looked) + len;
            visit(buf.get(begin..end).unwrap_or_default());
            begin = end + 1;
        }
        buf.drain(..begin);
        looked = buf.len();
        ensure!(looked <= LINE_MAX, "a line has more than {LINE_MAX} bytes");
        if read == 0 {
            if !buf.is_empty() {
                visit(&buf);
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use blockhouse_disk::{Disk as _, MemDisk};

    use super::*;

    #[test]
    fn lines_are_whole_wherever_reads_end() {
        let file = MemDisk::new().create(Path::new("/f")).unwrap();
        let long = "x".repeat(READ - 1);
        let lines = ["a", &long, "", &format!("{long}{long}yz"), "last"];
        file.write_at(lines.join("\n").as_bytes(), 0).unwrap();
        let mut seen = Vec::new();
        each(&file, &mut |line| seen.push(String::from_utf8(line.to_vec()).unwrap())).unwrap();
        assert!(seen == lines, "{:?}", seen.iter().map(String::len).collect::<Vec<_>>());
    }
}
