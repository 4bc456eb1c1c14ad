use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::environment::Environment;
use crate::program;

/// A program that ends when this value is dropped or this process is gone,
/// even by SIGKILL.
///
/// A shell stands between: it holds the other end of a pipe, and the kernel
/// closes ours whatever happens to us. `PR_SET_PDEATHSIG` would need unsafe
/// code, exists on Linux only and follows the thread that forked.
#[derive(Debug)]
pub struct Supervised {
    shell: Child,
    lifeline: Option<ChildStdin>,
}

impl Supervised {
    /// Starts `program` in a process group of its own, without input and with
    /// both outputs going to `output`. `grace` is the time between SIGTERM and
    /// SIGKILL.
    ///
    /// # Errors
    ///
    /// If the shell cannot be started.
    pub fn start(
        environment: &Environment,
        program: &Path,
        arguments: &[std::ffi::OsString],
        output: &File,
        grace: Duration,
    ) -> io::Result<Self> {
        let tenths = grace.as_millis().div_ceil(100).to_string();
        let mut command: Command = environment.command(Path::new("/bin/sh"));
        command
            .args(["-c", include_str!("supervisor.sh"), "supervisor", &tenths])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            // The terminal's Ctrl-C is for this process, which then ends the
            // program in order.
            .process_group(0);
        let mut shell = program::spawn(|| command.spawn())?;
        let lifeline = shell.stdin.take();
        Ok(Self { shell, lifeline })
    }

    /// How the program ended, or nothing while it runs.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        Ok(self.shell.try_wait()?.map(decode))
    }

    /// Ends the program and waits until it is gone.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn stop(&mut self) -> io::Result<ExitStatus> {
        drop(self.lifeline.take());
        self.shell.wait().map(decode)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // Nobody is left to hear why waiting failed; the pipe is closed.
        let _ = self.stop();
    }
}

/// Turns the shell's 128 + n into the signal n.
fn decode(status: ExitStatus) -> ExitStatus {
    match status.code() {
        Some(code) if code > 128 => ExitStatus::from_raw(code - 128),
        _ => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};
    use std::time::Instant;

    fn start(script: &str, output: &File, grace: Duration) -> Supervised {
        let environment = Environment::current();
        let arguments = ["-c".into(), script.into()];
        Supervised::start(
            &environment,
            Path::new("/bin/sh"),
            &arguments,
            output,
            grace,
        )
        .unwrap()
    }

    fn scratch() -> File {
        let path = std::env::temp_dir().join(format!(
            "attache-supervisor-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }

    fn wait(supervised: &mut Supervised) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = supervised.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "still running");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_status_and_the_output_are_the_programs() {
        let mut output = scratch();
        let mut supervised = start(
            "echo out; echo err >&2; exit 7",
            &output,
            Duration::from_secs(1),
        );
        assert_eq!(wait(&mut supervised).code(), Some(7));
        let mut text = String::new();
        output.rewind().unwrap();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "out\nerr\n");
    }

    #[test]
    fn a_signal_is_reported_as_a_signal() {
        let mut supervised = start("kill -SEGV $$", &scratch(), Duration::from_secs(1));
        assert_eq!(wait(&mut supervised).signal(), Some(11));
    }

    #[test]
    fn stopping_sends_sigterm_first() {
        let mut supervised = start("exec sleep 100", &scratch(), Duration::from_secs(5));
        assert_eq!(supervised.stop().unwrap().signal(), Some(15));
    }

    #[test]
    fn what_a_program_leaves_behind_ends_with_it() {
        let mut output = scratch();
        let script = "sleep 100 & echo $!; exit 0";
        let mut supervised = start(script, &output, Duration::from_secs(1));
        assert_eq!(wait(&mut supervised).code(), Some(0));
        let mut pid = String::new();
        output.rewind().unwrap();
        output.read_to_string(&mut pid).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let is_alive = || {
            Command::new("kill")
                .args(["-0", pid.trim()])
                .output()
                .unwrap()
                .status
                .success()
        };
        while is_alive() {
            assert!(Instant::now() < deadline, "{pid} is still running");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_program_that_ignores_sigterm_is_killed_after_the_grace_period() {
        let mut output = scratch();
        let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
        let mut supervised = start(script, &output, Duration::from_millis(300));
        let deadline = Instant::now() + Duration::from_secs(10);
        while output.seek(io::SeekFrom::End(0)).unwrap() == 0 {
            assert!(Instant::now() < deadline, "never started");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(supervised.stop().unwrap().signal(), Some(9));
    }
}
