//! Landlock and seccomp.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, sock_filter};

use super::{Entered, Needs};

/// The newest kernel interface whose rights are given up; older kernels have fewer.
const ABI_KNOWN: ABI = ABI::V5;

/// What starts a dynamically linked program: the kernel executes it as well.
const LOADERS: [&str; 4] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

/// What a server never does: look into other processes, change mounts, namespaces, the clock or
/// the kernel, and reach files by handles.
const REFUSED: [libc::c_long; 42] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
];

/// What executes programs: refused besides where the process does not execute itself.
const EXECUTES: [libc::c_long; 2] = [libc::SYS_execve, libc::SYS_execveat];

/// On x86-64, what has this bit in its number is a call of the x32 ABI, which kernels may have as well. To a filter
/// it is of the same architecture, under a number of its own. This program has no use for any of them.
const X32_BIT: u32 = 0x4000_0000;

pub(super) fn enter(needs: &Needs) -> Result<Entered, String> {
    let (files, ports) = landlock(needs)?;
    let calls = seccomp(needs.executes)?;
    Ok(Entered { files, ports, calls })
}

/// Everything may be read. Written: only what `needs` names, and `/dev/null`. Executed: this
/// program, if it compiles plugins in a child of itself.
fn landlock(needs: &Needs) -> Result<(bool, bool), String> {
    let written = AccessFs::from_write(ABI_KNOWN) & !BitFlags::from(AccessFs::IoctlDev);
    let handled = written | AccessFs::Execute;
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)
        .map_err(|e| text(&e))?;
    let rules = match needs.ports {
        Some(_) => rules.handle_access(AccessNet::BindTcp).map_err(|e| text(&e))?,
        None => rules,
    };
    // A container may refuse the call even where the kernel has it.
    let Ok(mut rules) = rules.create() else { return Ok((false, false)) };
    let allow = |path: &Path, access: BitFlags<AccessFs>| {
        PathFd::new(path).map(|fd| PathBeneath::new(fd, access)).map_err(|e| text(&e))
    };
    for dir in &needs.writable {
        rules = rules.add_rule(allow(dir, written)?).map_err(|e| text(&e))?;
    }
    rules = rules
        .add_rule(allow(Path::new("/dev/null"), AccessFs::WriteFile.into())?)
        .map_err(|e| text(&e))?;
    for path in programs(needs).map_err(|e| text(&e))? {
        rules = rules.add_rule(allow(&path, AccessFs::Execute.into())?).map_err(|e| text(&e))?;
    }
    for port in needs.ports.iter().flatten() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp)).map_err(|e| text(&e))?;
    }
    let Ok(status) = rules.restrict_self() else { return Ok((false, false)) };
    let files = status.ruleset != RulesetStatus::NotEnforced;
    let ports = needs.ports.is_some() && status.ruleset == RulesetStatus::FullyEnforced;
    Ok((files, ports))
}

/// What may be executed: this program and what starts it, or nothing.
fn programs(needs: &Needs) -> std::io::Result<Vec<PathBuf>> {
    if !needs.executes {
        return Ok(Vec::new());
    }
    let loaders = LOADERS.iter().map(PathBuf::from).filter(|path| path.exists());
    Ok(std::iter::once(std::env::current_exe()?).chain(loaders).collect())
}

/// Refused calls answer EPERM, on all threads. False where the machine's kind has no filter here.
fn seccomp(executes: bool) -> Result<bool, String> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(false) };
    let program = filter(executes, arch)?;
    match seccompiler::apply_filter_all_threads(&program) {
        Ok(()) => Ok(true),
        // A kernel without filters, or a container that lets nobody add one.
        Err(seccompiler::Error::Prctl(_) | seccompiler::Error::Seccomp(_)) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn filter(executes: bool, arch: TargetArch) -> Result<BpfProgram, String> {
    let programs = if executes { &[][..] } else { &EXECUTES[..] };
    let refused = REFUSED.iter().chain(programs);
    let rules: BTreeMap<_, _> = refused.map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let first = match arch {
        TargetArch::x86_64 => refuse_x32(refuse.clone().into()).to_vec(),
        _ => Vec::new(),
    };
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch);
    let rest = filter.and_then(BpfProgram::try_from).map_err(|e| e.to_string())?;
    Ok([first, rest].concat())
}

/// What the library has no rule for, since its rules are for one number each.
const fn refuse_x32(refuse: u32) -> [sock_filter; 3] {
    // BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JGE | BPF_K and BPF_RET | BPF_K; the number of the call is the first
    // word of what a filter looks at.
    let load = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let unless_below = sock_filter { code: 0x35, jt: 0, jf: 1, k: X32_BIT };
    [load, unless_below, sock_filter { code: 0x06, jt: 0, jf: 0, k: refuse }]
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::io::Write as _;
    use std::process::Command;

    use super::*;

    const AUDIT_ARCH_X86_64: u32 = 0xC000_003E;
    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0001;

    /// execve, ptrace and execveat have numbers of their own there; the others are as elsewhere.
    const X32_CALLS: [u32; 7] = [520, 521, 545, 59, 101, 165, 39];

    /// What the kernel makes of a filter.
    fn answer(program: &[sock_filter], call: u32) -> u32 {
        let data = [call, AUDIT_ARCH_X86_64];
        let (mut at, mut loaded) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let branch = |is_so: bool| usize::from(if is_so { jt } else { jf });
            at += 1;
            match code {
                0x20 => loaded = data[k as usize / 4],
                0x05 => at += k as usize,
                0x15 => at += branch(loaded == k),
                0x35 => at += branch(loaded >= k),
                0x06 => return k,
                _ => unreachable!("{code:#x} is not known here"),
            }
        }
    }

    #[test]
    fn calls_of_x32_are_refused_and_others_as_before() {
        for executes in [true, false] {
            let program = filter(executes, TargetArch::x86_64).unwrap();
            for call in X32_CALLS {
                assert_eq!(answer(&program, X32_BIT | call), EPERM, "{call}");
            }
            let number = |call: libc::c_long| u32::try_from(call).unwrap();
            let execve = if executes { ALLOW } else { EPERM };
            assert_eq!(answer(&program, number(libc::SYS_execve)), execve);
            assert_eq!(answer(&program, number(libc::SYS_getpid)), ALLOW);
            assert_eq!(answer(&program, X32_BIT - 1), ALLOW, "no such call");
            for call in REFUSED {
                assert_eq!(answer(&program, number(call)), EPERM, "{call}");
            }
        }
    }

    #[test]
    fn a_child_gets_no_call_of_x32_through() {
        let child = concat!(module_path!(), "::child_x32").split_once("::").unwrap().1;
        let own = std::env::current_exe().unwrap();
        let done = Command::new(own).args(["--ignored", "--exact", child, "--nocapture"]).output();
        let done = done.unwrap();
        let told = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && told.contains("1 passed"), "{told}{done:?}");
        // What a test prints is dropped if it passes; what it could not test has to be seen.
        let untested = told.lines().filter(|line| line.starts_with("!!! SKIPPED"));
        let untested: String = untested.flat_map(|line| [line, "\n"]).collect();
        std::io::stderr().write_all(untested.as_bytes()).unwrap();
    }

    /// What is entered cannot be left: it is a process of its own. Python makes the calls, since this workspace has no
    /// unsafe code for tests.
    #[test]
    #[ignore = "run by a_child_gets_no_call_of_x32_through"]
    fn child_x32() {
        let script = "import ctypes, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n\
            for call in sys.argv[1:]:\n  ctypes.set_errno(0)\n  libc.syscall(ctypes.c_long(int(call)), 0, 0, 0, 0)\n  print(ctypes.get_errno())";
        let python = |calls: &[u32]| {
            let calls = calls.iter().map(u32::to_string);
            Command::new("python3").args(["-c", script]).args(calls).output()
        };
        if python(&[]).is_err() || !seccomp(true).unwrap() {
            return println!("\n!!! SKIPPED: x32: no python3, or no filter of calls !!!");
        }
        let done = python(&X32_CALLS.map(|call| X32_BIT | call)).unwrap();
        // Without the filter ENOSYS, or what they do.
        let refused = format!("{}\n", libc::EPERM).repeat(X32_CALLS.len());
        assert_eq!(String::from_utf8_lossy(&done.stdout), refused, "{done:?}");
    }
}
