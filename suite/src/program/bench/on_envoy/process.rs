//! The processor time of another process (Linux).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

/// A process, found by its program and an argument.
pub(super) struct Process {
    tasks: PathBuf,
}

impl Process {
    /// The process that runs `program` with `argument` among its arguments.
    pub(super) fn find(program: &Path, argument: &Path) -> anyhow::Result<Self> {
        let program = program.canonicalize()?;
        let argument = argument.as_os_str().as_encoded_bytes();
        let runs = |folder: &Path| {
            let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
            let is_program = fs::read_link(folder.join("exe")).is_ok_and(|exe| exe == program);
            is_program && arguments.split(|&byte| byte == 0).any(|it| it == argument)
        };
        fs::read_dir("/proc")
            .context("cannot read /proc, where Linux says what processes take")?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|folder| runs(folder))
            .map(|folder| Self {
                tasks: folder.join("task"),
            })
            .with_context(|| {
                format!(
                    "no process runs `{}` itself; name Envoy's binary with --envoy, and no script around it",
                    program.display()
                )
            })
    }

    /// The time that its threads have run, as the scheduler counts it.
    pub(super) fn time(&self) -> anyhow::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(&self.tasks).context("Envoy has ended")? {
            // A thread may end meanwhile.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            let first = text.split(' ').next().unwrap_or_default();
            nanoseconds += first
                .parse::<u64>()
                .context("this kernel has no schedstat")?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}
