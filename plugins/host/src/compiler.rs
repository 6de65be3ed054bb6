//! Components become native code: for a node in a process of its own, since compilers need much
//! time and memory for some components, and are large programs that read what others wrote.

mod child;

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

pub use child::compile_stdin;

/// Bytes of the compiled code of a component.
pub(crate) const CODE_MAX: u64 = 512 << 20;
/// Bytes of the reason why something cannot be compiled.
const REASON_MAX: usize = 64 << 10;
/// Bytes before an answer: what it is, and its length.
const ANSWER_HEAD: usize = 9;
/// What follows is compiled code.
const IS_CODE: u8 = 0;
/// What follows is a sentence.
const IS_REASON: u8 = 1;

/// Where components are compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// In this process, without limits: for tests, and for what its user made himself.
    InProcess,
    /// In a process of its own.
    Child {
        /// A program that calls [`compile_stdin`] with the limits that it is told as
        /// `--memory-mib N --timeout-ms N`.
        program: PathBuf,
        /// What comes before these.
        args: Vec<String>,
    },
}

/// What a compilation may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// MiB of address space.
    pub memory_mib: u32,
    /// How long it may take.
    pub time: Duration,
}

impl Compiler {
    /// The compiled code of a component, or one sentence that says why there is none.
    ///
    /// # Errors
    /// That sentence, without the plugin's name.
    pub(crate) fn compile(
        &self,
        engine: &wasmtime::Engine,
        component: &[u8],
        limits: Limits,
    ) -> Result<Vec<u8>, String> {
        match self {
            Self::InProcess => compile(engine, component),
            Self::Child { program, args } => {
                let mut command = Command::new(program);
                command.args(args);
                command.arg("--memory-mib").arg(limits.memory_mib.to_string());
                command.arg("--timeout-ms").arg(limits.time.as_millis().to_string());
                in_child(command, component, limits)
            }
        }
    }
}

fn compile(engine: &wasmtime::Engine, component: &[u8]) -> Result<Vec<u8>, String> {
    engine.precompile_component(component).map_err(|e| format!("it cannot be compiled: {e:#}"))
}

/// What came of a child's answer.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Code(Vec<u8>),
    Reason(String),
    TooLong,
    /// It ended before.
    Broken,
    /// It did not end in time.
    Late,
}

fn in_child(mut command: Command, component: &[u8], limits: Limits) -> Result<Vec<u8>, String> {
    // Its descriptors are these three: all others of this process are closed when it is started.
    command.env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let failed = |e: std::io::Error| format!("the compiler's process cannot be started: {e}");
    let mut child = command.spawn().map_err(failed)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (done, answer) = sync_channel(1);
    let heard = std::thread::scope(|scope| {
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let writes = thread("plugin-source").spawn_scoped(scope, move || {
            // What does not take all of it answers why, or ends.
            let _broken = stdin.map(|mut stdin| stdin.write_all(component));
        });
        let reads = thread("plugin-compile").spawn_scoped(scope, move || tell(&done, stdout));
        let heard = writes.and(reads).map(|_| listen(&answer, limits.time));
        // It has answered, or is not going to. This ends the two threads as well.
        let _ended = child.kill();
        heard
    });
    let status = child.wait().map_err(failed)?;
    match heard.map_err(failed)? {
        Answer::Code(code) => Ok(code),
        Answer::Reason(reason) => Err(reason),
        Answer::TooLong => Err(format!("its compiled code is over {} MiB", CODE_MAX >> 20)),
        Answer::Broken => Err(ended(status, limits)),
        Answer::Late => Err(format!(
            "it cannot be compiled within {} ms; `plugins.compile_timeout_ms` can give it more",
            limits.time.as_millis()
        )),
    }
}

/// How a process that did not answer ended.
fn ended(status: ExitStatus, limits: Limits) -> String {
    match status.signal() {
        Some(signal) => format!(
            "its compilation ended by signal {signal}; it may need more than {} MiB, and \
             `plugins.compile_memory_mib` can give it more",
            limits.memory_mib
        ),
        None => format!("its compilation ended without an answer, with {status}"),
    }
}

fn tell(done: &SyncSender<Answer>, from: Option<impl Read>) {
    // Whoever waited may be gone.
    let _late = done.send(from.map_or(Answer::Broken, answer));
}

fn listen(answer: &Receiver<Answer>, time: Duration) -> Answer {
    answer.recv_timeout(time).unwrap_or(Answer::Late)
}

/// Reads an answer that may stop anywhere and be of any length.
fn answer(mut from: impl Read) -> Answer {
    let mut head = [0; ANSWER_HEAD];
    if from.read_exact(&mut head).is_err() {
        return Answer::Broken;
    }
    let [kind, len @ ..] = head;
    let len = u64::from_le_bytes(len);
    if len > CODE_MAX {
        return Answer::TooLong;
    }
    let mut bytes = Vec::new();
    match from.take(len).read_to_end(&mut bytes) {
        Ok(read) if read as u64 == len && kind == IS_CODE => Answer::Code(bytes),
        Ok(read) if read as u64 == len && kind == IS_REASON => {
            bytes.truncate(REASON_MAX);
            Answer::Reason(String::from_utf8_lossy(&bytes).replace(char::is_control, " "))
        }
        _ => Answer::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory_mib: 256, time: Duration::from_secs(60) };

    /// What comes of a program that does `script` in place of compiling.
    fn child(script: &str, component: &[u8], limits: Limits) -> Result<Vec<u8>, String> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script);
        in_child(command, component, limits)
    }

    #[test]
    fn an_answer_is_taken_whole_or_not_at_all() {
        let framed =
            |kind: u8, len: u64, bytes: &[u8]| [&[kind][..], &len.to_le_bytes(), bytes].concat();
        let of = |bytes: Vec<u8>| answer(bytes.as_slice());
        assert_eq!(of(framed(IS_CODE, 3, b"abcd")), Answer::Code(b"abc".to_vec()));
        assert_eq!(of(framed(IS_REASON, 3, b"a\nb")), Answer::Reason("a b".to_owned()));
        assert_eq!(of(framed(IS_CODE, 3, b"ab")), Answer::Broken);
        assert_eq!(of(framed(7, 3, b"abc")), Answer::Broken);
        assert_eq!(of(framed(IS_CODE, CODE_MAX + 1, b"abc")), Answer::TooLong);
        assert_eq!(of(vec![IS_CODE; ANSWER_HEAD - 1]), Answer::Broken);
    }

    #[test]
    fn a_process_that_does_not_answer_is_told_of() {
        let killed = child("kill -6 $$", b"", LIMITS).unwrap_err();
        assert!(killed.contains("signal 6") && killed.contains("256 MiB"), "{killed}");
        assert!(child("exit 3", b"", LIMITS).unwrap_err().contains('3'));
        assert!(child("echo no", b"", LIMITS).unwrap_err().contains("without an answer"));
        let endless = child("exec cat /dev/zero", b"", LIMITS);
        assert_eq!(endless.unwrap(), b"", "what follows an answer is not read");
        let missing = in_child(Command::new("/no/such/program"), b"", LIMITS).unwrap_err();
        assert!(missing.contains("cannot be started"), "{missing}");
        let large = child("printf '\\0\\377\\377\\377\\377\\0\\0\\0\\0'", b"", LIMITS).unwrap_err();
        assert!(large.contains("over 512 MiB"), "{large}");
    }

    #[test]
    fn a_process_that_never_ends_is_killed() {
        let limits = Limits { time: Duration::from_millis(20), ..LIMITS };
        // More than a pipe holds, and nobody reads it.
        let unread = vec![0; 1 << 20];
        let late = child("exec sleep 1000", &unread, limits).unwrap_err();
        assert!(late.contains("within 20 ms"), "{late}");
    }

    #[test]
    fn a_process_gets_no_environment_and_no_descriptors() {
        let (held, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        // Its own listing takes one descriptor; the environment is what the shell itself sets.
        let script = "n=$(ls /proc/self/fd | wc -l); h=${HOME-none}; \
                      printf '\\001\\0\\0\\0\\0\\0\\0\\0\\0'; test $n = 4 && test $h = none && exit 0; exit 9";
        assert_eq!(child(script, b"", LIMITS).unwrap_err(), "");
        drop(held);
    }
}
