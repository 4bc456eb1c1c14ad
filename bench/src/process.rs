//! The processor time and the memory of processes (Linux).

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

/// What one tick of the processor's time in `/proc/PID/stat` is; Linux has no other for programs.
const TICK: Duration = Duration::from_millis(10);

/// The processor time of all child processes that were waited for, and of theirs.
pub(crate) fn time_of_children() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in brackets, which may hold anything (proc_pid_stat(5)).
    let (_, behind) = text
        .rsplit_once(')')
        .context("no name in /proc/self/stat")?;
    let fields = behind.split_ascii_whitespace().skip(13).take(2);
    let ticks = fields.map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

/// Threads of a process.
#[derive(Debug)]
pub(crate) struct Process {
    folder: PathBuf,
    /// A thread that does not count.
    but: Option<OsString>,
}

impl Process {
    /// The process that runs `program` with `argument` among its arguments.
    pub(crate) fn find(program: &Path, argument: &Path) -> anyhow::Result<Self> {
        let program = program.canonicalize()?;
        let argument = argument.as_os_str().as_encoded_bytes();
        let runs = |folder: &Path| {
            let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
            let is_program = fs::read_link(folder.join("exe")).is_ok_and(|exe| exe == program);
            is_program && arguments.split(|&byte| byte == 0).any(|a| a == argument)
        };
        fs::read_dir("/proc")?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|folder| runs(folder))
            .map(|folder| Self { folder, but: None })
            .with_context(|| format!("no process runs {}", program.display()))
    }

    /// The threads of this process but its first, which sends the requests.
    pub(crate) fn servers() -> anyhow::Result<Self> {
        let number = std::process::id().to_string();
        Ok(Self {
            folder: Path::new("/proc").join(&number),
            but: Some(number.into()),
        })
    }

    /// Its resident memory, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(self.folder.join("status"))?;
        let resident = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = resident.and_then(|value| value.trim().split(' ').next()?.parse::<u64>().ok());
        Ok(number.context("no VmRSS")? << 10)
    }

    /// The time that its threads have run, as the scheduler counts it.
    pub(crate) fn time(&self) -> anyhow::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(self.folder.join("task"))? {
            let task = task?;
            if self.but.as_ref() == Some(&task.file_name()) {
                continue;
            }
            // A thread may end meanwhile.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else {
                continue;
            };
            let first = text.split(' ').next().context("an empty schedstat")?;
            nanoseconds += first.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}
