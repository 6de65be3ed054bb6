//! What the operating system says about the server's process.

use anyhow::Context as _;
use serde::Serialize;

/// Clock ticks per second of `/proc/PID/stat`: fixed at 100 by Linux for all user-visible values.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time and memory of a process at a moment.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Usage {
    /// Processor time spent in user and system mode, in microseconds.
    pub(crate) cpu_us: u64,
    /// Resident memory that belongs to the process alone, in bytes.
    pub(crate) rss_anon: u64,
    /// Resident memory that maps files, in bytes: page cache that the process has touched.
    pub(crate) rss_file: u64,
}

/// Looks at process `pid`.
pub(crate) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let stat = read(pid, "stat")?;
    let status = read(pid, "status")?;
    let cpu_us = cpu_us(&stat).with_context(|| format!("/proc/{pid}/stat has an unknown form"))?;
    Ok(Usage {
        cpu_us,
        rss_anon: status_bytes(&status, "RssAnon:").unwrap_or(0),
        rss_file: status_bytes(&status, "RssFile:").unwrap_or(0),
    })
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    #[expect(clippy::disallowed_methods, reason = "/proc is a question to the kernel, not a file")]
    let text = std::fs::read_to_string(&path);
    text.with_context(|| format!("cannot read {path}: is --server-pid right, and is this Linux?"))
}

/// utime + stime; the command name before them may hold anything, even parentheses.
fn cpu_us(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let utime: u64 = fields.next()?.parse().ok()?;
    let stime: u64 = fields.next()?.parse().ok()?;
    Some((utime + stime) * (1_000_000 / TICKS_PER_SECOND))
}

fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_and_status_are_read() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_us(stat), Some(1_750_000));
        assert_eq!(cpu_us("42 (a"), None);
        let status = "Name:\tx\nVmRSS:\t  99 kB\nRssAnon:\t     12 kB\nRssFile:\t 3 kB\n";
        assert_eq!(status_bytes(status, "RssAnon:"), Some(12 * 1024));
        assert_eq!(status_bytes(status, "RssFile:"), Some(3 * 1024));
        assert_eq!(status_bytes(status, "RssShmem:"), None);
    }

    #[test]
    fn this_process_has_memory_of_its_own() {
        assert!(usage(std::process::id()).unwrap().rss_anon > 0);
    }
}
