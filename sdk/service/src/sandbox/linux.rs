//! Landlock and seccomp.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

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
    let programs = if executes { &[][..] } else { &EXECUTES[..] };
    let refused = REFUSED.iter().chain(programs);
    let rules: BTreeMap<_, _> = refused.map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch);
    let program = filter.and_then(BpfProgram::try_from).map_err(|e| e.to_string())?;
    match seccompiler::apply_filter_all_threads(&program) {
        Ok(()) => Ok(true),
        // A kernel without filters, or a container that lets nobody add one.
        Err(seccompiler::Error::Prctl(_) | seccompiler::Error::Seccomp(_)) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}
