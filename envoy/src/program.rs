use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// What a program that ended had to say.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// It could not be started.
    #[error("it cannot be started")]
    Start(#[source] std::io::Error),
    /// It was started and could not be waited for.
    #[error("it cannot be waited for")]
    Wait(#[source] std::io::Error),
    /// It was still running when its time was up, and was ended.
    #[error("it did not end within {} s", limit.as_secs())]
    TimedOut {
        /// The time it was given.
        limit: Duration,
    },
    /// It ended with a failure.
    #[error("it ended with {status}: `{stderr}`")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote to its standard error.
        stderr: String,
    },
    /// It ended well, and its answer cannot be understood.
    #[error("it answered `{answer}`, which is not what Envoy answers")]
    Answer {
        /// The answer.
        answer: String,
    },
}

/// How long output is waited for once the program has ended, at the least.
const AFTER_THE_END: Duration = Duration::from_millis(100);

/// Runs a program to its end, without input, for at most `limit`.
pub(crate) fn run(mut command: Command, limit: Duration) -> Result<Output, ProgramError> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let deadline = Instant::now() + limit;
    let mut child = spawn(|| command.spawn()).map_err(ProgramError::Start)?;
    // Both pipes are read while it runs: a full one would stop it.
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    loop {
        if let Some(status) = child.try_wait().map_err(ProgramError::Wait)? {
            // Something that it left behind may hold the pipes open for longer.
            let limit = deadline.max(Instant::now() + AFTER_THE_END);
            return Ok(Output {
                status,
                stdout: text(stdout, limit),
                stderr: text(stderr, limit),
            });
        }
        if Instant::now() >= deadline {
            // It may have ended in between, which is as good.
            let _ = child.kill();
            let _ = child.wait();
            return Err(ProgramError::TimedOut { limit });
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Starts a program, and tries again while its file is busy: a file that this
/// process has just written stays open for writing in a child that another
/// thread forked meanwhile, until that child executes its own program.
pub(crate) fn spawn<T>(mut start: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    const TRIES: u32 = 50;
    for _ in 1..TRIES {
        match start() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
    start()
}

/// The last lines of a program's standard error, as one line.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join(" / ")
}

/// Reads at most 1 MiB, far past any answer that is waited for here.
fn collect(pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut pipe = pipe.take(1 << 20);
        let mut piece = [0; 4096];
        // What was read before an error is still an answer.
        while let Ok(length @ 1..) = pipe.read(&mut piece) {
            if sender.send(piece[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// What comes through a pipe until its end, or until `limit`.
fn text(pieces: Option<Receiver<Vec<u8>>>, limit: Instant) -> String {
    let mut bytes = Vec::new();
    if let Some(pieces) = pieces {
        while let Ok(piece) = pieces.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            bytes.extend(piece);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_program_leaves_behind_is_not_waited_for() {
        let begun = Instant::now();
        let output = run(shell("sleep 20 & echo 1.2.3"), Duration::from_millis(500)).unwrap();
        assert_eq!(output.stdout, "1.2.3\n");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn both_outputs_and_the_status_are_returned() {
        let output = run(
            shell("echo out; echo err >&2; exit 3"),
            Duration::from_secs(10),
        )
        .unwrap();
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("out\n", "err\n")
        );
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let error = run(shell("exec sleep 100"), Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error, ProgramError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn the_last_lines_are_joined() {
        assert_eq!(last_lines("a\n\n  b\nc\n", 2), "b / c");
        assert_eq!(last_lines("", 2), "");
    }
}
