//! System calls that `std` lacks, for Linux.
#![expect(unsafe_code, reason = "the C library's functions are unsafe to call")]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::Space;

pub(crate) fn checked(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One `preadv2(RWF_NOWAIT)`.
pub(crate) fn read_now(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    let at = libc::off64_t::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
    let iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    // SAFETY: `iov` describes `buf`, which is writable and outlives the call; one entry is passed.
    let n = unsafe { libc::preadv2(file.as_raw_fd(), &raw const iov, 1, at, libc::RWF_NOWAIT) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// `fallocate`, which also extends the file.
pub(crate) fn allocate(file: &File, len: u64) -> io::Result<()> {
    let len = libc::off64_t::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open; no memory is passed.
    checked(unsafe { libc::fallocate64(file.as_raw_fd(), 0, 0, len) })
}

/// `fallocate` that gives the room back and keeps the length.
pub(crate) fn punch_hole(file: &File, at: u64, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    let at = libc::off64_t::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
    let len = libc::off64_t::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: the descriptor is open; no memory is passed.
    checked(unsafe { libc::fallocate64(file.as_raw_fd(), mode, at, len) })
}

/// `syncfs` of the filesystem that holds `dir`.
pub(crate) fn sync_filesystem(dir: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open; no memory is passed.
    checked(unsafe { libc::syncfs(dir.as_raw_fd()) })
}

/// Raises the soft limit of open files to the hard one, as Java and Go do; gives the limit.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable and outlives the call.
    checked(unsafe { libc::getrlimit64(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit64 { rlim_cur: limit.rlim_max, ..limit };
        // SAFETY: `raised` outlives the call.
        if checked(unsafe { libc::setrlimit64(libc::RLIMIT_NOFILE, &raw const raised) }).is_ok() {
            limit = raised;
        }
    }
    Ok(limit.rlim_cur)
}

/// Limits of this process that nothing in it can lift, but for root's own.
pub(crate) fn confine(memory: u64, processor_seconds: u64) -> io::Result<()> {
    let kill = libc::c_ulong::try_from(libc::SIGKILL).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: a number is set; no memory is passed.
    checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, kill) })?;
    limit_memory(memory)?;
    let wanted = [
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_FSIZE, 0),
        (libc::RLIMIT_NOFILE, 0),
        (libc::RLIMIT_NPROC, 0),
        (libc::RLIMIT_CPU, processor_seconds),
    ];
    for (resource, max) in wanted {
        limit(resource, max)?;
    }
    Ok(())
}

pub(crate) fn limit_memory(bytes: u64) -> io::Result<()> {
    limit(libc::RLIMIT_AS, bytes)
}

fn limit(resource: libc::__rlimit_resource_t, max: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: max, rlim_max: max };
    // SAFETY: `limit` outlives the call.
    checked(unsafe { libc::setrlimit64(resource, &raw const limit) })
}

/// The user that this process acts as.
pub(crate) fn user() -> libc::uid_t {
    // SAFETY: a number is asked for; no memory is passed.
    unsafe { libc::geteuid() }
}

/// The smallest page of any machine.
pub(crate) const PAGE_MIN: usize = 4 << 10;

/// Bytes of a page.
pub(crate) fn page_size() -> Option<usize> {
    // SAFETY: a number is asked for; no memory is passed.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| *size >= PAGE_MIN)
}

/// `mincore`: bit 0 of each of `pages` says whether that page of `bytes`, which begin with one, is
/// in memory. Looks at none of them.
pub(crate) fn resident(bytes: &[u8], pages: &mut [u8]) -> io::Result<()> {
    let page = page_size().ok_or(io::ErrorKind::Unsupported)?;
    if pages.len() < bytes.len().div_ceil(page) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let start = bytes.as_ptr().cast_mut().cast();
    // SAFETY: `pages` has room for a byte per page, and outlives the call. `bytes` are not written:
    // the pointer is mutable because the C library's declaration is.
    checked(unsafe { libc::mincore(start, bytes.len(), pages.as_mut_ptr()) })
}

/// `statvfs`.
pub(crate) fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs64>::uninit();
    // SAFETY: `path` ends with a zero byte, and `stat` has room for the answer.
    checked(unsafe { libc::statvfs64(path.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it filled `stat`.
    let stat = unsafe { stat.assume_init() };
    let unit = stat.f_frsize;
    Ok(Space {
        total: stat.f_blocks.saturating_sub(stat.f_bfree.saturating_sub(stat.f_bavail)) * unit,
        free: stat.f_bavail * unit,
    })
}

/// `lseek(SEEK_DATA)`. It moves the file's own position, which nothing here uses.
pub(crate) fn next_data(file: &File, at: u64) -> io::Result<u64> {
    let at = libc::off64_t::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open; no memory is passed.
    let next = unsafe { libc::lseek64(file.as_raw_fd(), at, libc::SEEK_DATA) };
    u64::try_from(next).map_err(|_| io::Error::last_os_error())
}

/// `posix_fadvise` for the whole file.
pub(crate) fn advise(file: &File, random: bool) -> io::Result<()> {
    let advice = if random { libc::POSIX_FADV_RANDOM } else { libc::POSIX_FADV_NORMAL };
    // SAFETY: the descriptor is open; no memory is passed.
    match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, advice) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Who else may lock the same byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lock {
    /// Nobody.
    Exclusive,
    /// Those who share.
    Shared,
    /// Everybody: the lock is given up.
    None,
}

/// Locks the first byte until the file is closed or unlocked, as Java's `FileChannel.tryLock(0, 1, _)`
/// does. An "open file description" lock: it excludes Java's, and a second one of this process.
pub(crate) fn lock_first_byte(file: &File, lock: Lock) -> io::Result<()> {
    let kind = match lock {
        Lock::Exclusive => libc::F_WRLCK,
        Lock::Shared => libc::F_RDLCK,
        Lock::None => libc::F_UNLCK,
    };
    let lock = libc::flock {
        l_type: libc::c_short::try_from(kind).map_err(|_| io::ErrorKind::InvalidInput)?,
        l_whence: libc::c_short::try_from(libc::SEEK_SET)
            .map_err(|_| io::ErrorKind::InvalidInput)?,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open, and `lock` outlives the call.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    match checked(result) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::EACCES | libc::EAGAIN)) => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        other => other,
    }
}
