//! File descriptors: what connections may take, so that the store always finds some.

use crate::options::Config;

/// For listeners, logs, CommitLog and index files, and what is opened for a moment.
const RESERVE: u64 = 64;
/// Most that stay free for log files: 4 TiB of log in files of 1 GiB.
const LOG_FILES_MAX: u64 = 4_096;

/// Raises the process's limit as far as it may, and keeps connections and open ConsumeQueue files
/// within it: a store that cannot make its next file takes no messages.
pub(super) fn fit(config: &mut Config) {
    let limit = match blockhouse_disk::raise_open_files() {
        Ok(limit) => limit,
        Err(error) => {
            tracing::warn!(%error, "cannot tell how many files may be open");
            return;
        }
    };
    let wanted = (config.transport.connections_max, config.store.open_queue_files);
    let fitting = share(limit, wanted);
    if fitting == wanted {
        return;
    }
    tracing::info!(
        "at most {limit} files may be open (ulimit -n, LimitNOFILE): {}",
        fewer(fitting, wanted)
    );
    (config.transport.connections_max, config.store.open_queue_files) = fitting;
}

/// Connections and ConsumeQueue files under `limit`: a quarter at most for the files; a quarter, or
/// [`LOG_FILES_MAX`], and the reserve stay free, as log files come to be many.
fn share(limit: u64, (connections, queue_files): (usize, usize)) -> (usize, usize) {
    let quarter = limit / 4;
    let at_most = |value: usize, most: u64| value.min(usize::try_from(most).unwrap_or(usize::MAX));
    let files = at_most(queue_files, quarter.max(1));
    let rest = limit.saturating_sub(quarter.min(LOG_FILES_MAX) + files as u64 + RESERVE).max(1);
    (at_most(connections, rest), files)
}

/// What there is less of than was wanted.
fn fewer(fitting: (usize, usize), wanted: (usize, usize)) -> String {
    let both =
        [(fitting.0, "connections", wanted.0), (fitting.1, "open ConsumeQueue files", wanted.1)];
    let fewer = both.into_iter().filter(|(fitting, _, wanted)| fitting < wanted);
    let told = fewer.map(|(fitting, what, wanted)| format!("{fitting} {what} instead of {wanted}"));
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_store() {
        assert_eq!(share(1 << 20, (65_536, 512)), (65_536, 512));
        assert_eq!(share(20_000, (65_536, 512)), (20_000 - 4_096 - 512 - 64, 512));
        assert_eq!(share(1_024, (65_536, 512)), (1_024 - 256 - 256 - 64, 256));
        assert_eq!(share(256, (65_536, 512)), (64, 64));
        assert_eq!(share(256, (10, 20)), (10, 20));
        assert_eq!(share(10, (65_536, 512)), (1, 2));
    }

    #[test]
    fn only_what_there_is_less_of_is_told() {
        let wanted = (65_536, 512);
        assert_eq!(fewer((15_328, 512), wanted), "15328 connections instead of 65536");
        assert_eq!(fewer((65_536, 256), wanted), "256 open ConsumeQueue files instead of 512");
        assert_eq!(
            fewer(share(1_024, wanted), wanted),
            "448 connections instead of 65536, 256 open ConsumeQueue files instead of 512"
        );
    }
}
