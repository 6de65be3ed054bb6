//! Looking at mapped bytes that the disk may not give.
#![expect(unsafe_code, reason = "a signal handler, and one loop that it knows by its address")]
//!
//! The kernel says that a page of a map cannot be had with `SIGBUS`, which ends the process. All
//! looks at mapped bytes, and all writes to them, therefore happen in one loop, [`copy`]. When the signal comes from within
//! it, the handler lets it go on at its end with "lost"; any other goes to the handler that was
//! there before. The map stays as it is, so whatever else is lent from it is right or an error, and
//! a disk that comes back gives its bytes again.

use std::io;

/// Whether the loop and the handler exist for this machine. Without them nothing is mapped.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod machine {
    use std::io;

    pub(crate) fn install() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// # Safety
    /// As [`std::ptr::copy_nonoverlapping`].
    pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> io::Result<()> {
        // SAFETY: the caller's.
        unsafe { std::ptr::copy_nonoverlapping(from, to, len) };
        Ok(())
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod machine {
    use std::io;
    use std::sync::OnceLock;

    use libc::{c_int, c_void, siginfo_t};

    // C's calling convention: to, from, length; 0, or 1 if a page was lost. It uses no stack, so
    // that the handler may send it from any instruction before `_end` to `_lost`.
    std::arch::global_asm!(
        ".pushsection .text.blockhouse_disk_copy,\"ax\",@progbits",
        ".globl blockhouse_disk_copy",
        ".hidden blockhouse_disk_copy",
        ".type blockhouse_disk_copy,@function",
        ".globl blockhouse_disk_copy_end",
        ".hidden blockhouse_disk_copy_end",
        ".globl blockhouse_disk_copy_lost",
        ".hidden blockhouse_disk_copy_lost",
        ".p2align 4",
        "blockhouse_disk_copy:",
        ".cfi_startproc",
        "cmp rdx, 8",
        "jb 3f",
        "2:",
        "mov rax, qword ptr [rsi]",
        "mov qword ptr [rdi], rax",
        "add rsi, 8",
        "add rdi, 8",
        "sub rdx, 8",
        "cmp rdx, 8",
        "jae 2b",
        "3:",
        "test rdx, rdx",
        "je 5f",
        "4:",
        "mov al, byte ptr [rsi]",
        "mov byte ptr [rdi], al",
        "inc rsi",
        "inc rdi",
        "dec rdx",
        "jnz 4b",
        "5:",
        "blockhouse_disk_copy_end:",
        "xor eax, eax",
        "ret",
        "blockhouse_disk_copy_lost:",
        "mov eax, 1",
        "ret",
        ".cfi_endproc",
        ".size blockhouse_disk_copy, . - blockhouse_disk_copy",
        ".popsection",
    );

    unsafe extern "C" {
        fn blockhouse_disk_copy(to: *mut u8, from: *const u8, len: usize) -> usize;
        static blockhouse_disk_copy_end: u8;
        static blockhouse_disk_copy_lost: u8;
    }

    /// Where the saved instruction pointer is.
    const PROGRAM_COUNTER: usize = libc::REG_RIP.unsigned_abs() as usize;

    /// What was done about the signal before.
    static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

    type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

    fn action(handler: libc::sighandler_t, flags: c_int) -> libc::sigaction {
        // SAFETY: the type is numbers, an array of them and an optional pointer: zeros are one.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        action
    }

    /// Takes the signal over, once.
    pub(crate) fn install() -> io::Result<()> {
        static DONE: OnceLock<Result<(), Option<i32>>> = OnceLock::new();
        let done = DONE.get_or_init(|| take_over().map_err(|e| e.raw_os_error()));
        done.map_err(|code| code.map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error))
    }

    fn take_over() -> io::Result<()> {
        let mut before = action(libc::SIG_DFL, 0);
        // SAFETY: `before` is writable and outlives the call; nothing is changed.
        let asked = unsafe { libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut before) };
        crate::sys::checked(asked)?;
        // Known before the handler may need it.
        let _only_once = BEFORE.set(before);
        let ours = on_signal as Handler as libc::sighandler_t;
        // Where a thread has a stack for signals, it is used, as the handler before may need it.
        let ours = action(ours, libc::SA_SIGINFO | libc::SA_ONSTACK);
        // SAFETY: `ours` outlives the call, and names a function of the type that SA_SIGINFO asks
        // for. It does only what a handler may: it reads statics and makes system calls.
        let set = unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, std::ptr::null_mut()) };
        crate::sys::checked(set)
    }

    extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        // SAFETY: the kernel passes a valid description of the signal.
        let code = unsafe { (*info).si_code };
        // SAFETY: with SA_SIGINFO it passes the interrupted thread's registers, which are ours to
        // change until the handler returns.
        let context_of_thread = unsafe { &mut *context.cast::<libc::ucontext_t>() };
        let at = &mut context_of_thread.uc_mcontext.gregs[PROGRAM_COUNTER];
        let begin = (blockhouse_disk_copy as *const ()).addr() as u64;
        let end = (&raw const blockhouse_disk_copy_end).addr() as u64;
        // Numbers above 0 are the kernel's own: not `kill`.
        if code > 0 && (begin..end).contains(&at.cast_unsigned()) {
            *at = ((&raw const blockhouse_disk_copy_lost).addr() as u64).cast_signed();
            return;
        }
        pass_on(signal, code, info, context);
    }

    /// What would have happened without us.
    fn pass_on(signal: c_int, code: c_int, info: *mut siginfo_t, context: *mut c_void) {
        let handler = BEFORE.get().filter(|before| {
            // The kernel does not let a fault be ignored.
            before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN
        });
        match handler {
            Some(before) if before.sa_flags & libc::SA_SIGINFO != 0 => {
                // SAFETY: who installed it said with SA_SIGINFO that it is such a function.
                let handler: Handler = unsafe { std::mem::transmute(before.sa_sigaction) };
                handler(signal, info, context);
            }
            Some(before) => {
                // SAFETY: without SA_SIGINFO it is a function of the signal's number alone.
                let handler: extern "C" fn(c_int) =
                    unsafe { std::mem::transmute(before.sa_sigaction) };
                handler(signal);
            }
            None => {
                let default = action(libc::SIG_DFL, 0);
                // SAFETY: `default` outlives the call. The fault comes again when the handler has
                // returned, and then ends the process.
                unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
                if code <= 0 {
                    // SAFETY: no memory is passed. What somebody sent does not come by itself.
                    unsafe { libc::raise(signal) };
                }
            }
        }
    }

    /// # Safety
    /// Both are valid for `len` bytes, but for pages of a map that cannot be had, and do not overlap.
    pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> io::Result<()> {
        // SAFETY: the caller's. Pages of either side that cannot be had end the loop: a map is made
        // after `install` only.
        match unsafe { blockhouse_disk_copy(to, from, len) } {
            0 => Ok(()),
            _ => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }
}

pub(crate) use machine::install;

/// Copies bytes of a map, whose length both must have. Where a page cannot be had, this is `EIO`.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> io::Result<()> {
    if from.len() != to.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: both have this length, and do not overlap: one is borrowed to be written.
    unsafe { machine::copy(to.as_mut_ptr(), from.as_ptr(), from.len()) }
}

/// Copies bytes from or to a map that others write at the same time. Where a page cannot be had, this
/// is `EIO`.
///
/// # Safety
/// Both are valid for `len` bytes, but for pages of a map that cannot be had, and do not overlap.
pub(crate) unsafe fn copy_raw(to: *mut u8, from: *const u8, len: usize) -> io::Result<()> {
    // SAFETY: the caller's.
    unsafe { machine::copy(to, from, len) }
}

#[cfg(test)]
mod tests;
