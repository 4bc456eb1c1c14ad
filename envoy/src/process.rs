mod admin;
mod failure;
mod log;
mod push;

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use crate::discovered::Discovered;
use crate::environment::Environment;
use crate::find::Installation;
use crate::http1::Response;
use crate::supervisor::Supervised;
use admin::Admin;

pub use admin::AdminError;
pub use failure::StartError;
pub use log::{LogLevel, LogLine, LogReader};
pub use push::{Push, PushError};

/// How an Envoy is started.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// How many worker threads handle requests.
    pub concurrency: u32,
    /// How long it may take until requests are accepted.
    pub ready_within: Duration,
    /// How long Envoy may take to end by itself before it is killed.
    pub grace: Duration,
    /// From which level on Envoy logs what filters say; of everything else it
    /// logs warnings and worse.
    pub filter_log_level: LogLevel,
    /// The plugins that can be replaced, as
    /// [`Bootstrap::discovered`](crate::Bootstrap::discovered) lists them:
    /// Envoy is ready once it has accepted the first file of each.
    pub discovered: Vec<Discovered>,
    /// The environment that Envoy runs in; modules may ask for variables of it.
    pub environment: Environment,
}

/// Two workers, 30 s to get ready, 5 s to end, filters heard from level info on.
impl Default for StartOptions {
    fn default() -> Self {
        Self {
            concurrency: 2,
            ready_within: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            filter_log_level: LogLevel::Info,
            discovered: Vec::new(),
            environment: Environment::current(),
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ended {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(code) => write!(f, "status {code}"),
            Self::Signal(number) => write!(f, "signal {number}"),
        }
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Status(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

/// A running Envoy.
///
/// It ends when this value is dropped, and also when this process is gone
/// without a chance to say so: a small shell between the two notices.
#[derive(Debug)]
pub struct Envoy {
    supervised: Supervised,
    admin: Admin,
    log: PathBuf,
    discovered: Vec<Discovered>,
}

impl Envoy {
    /// Starts Envoy with a configuration, and returns when it accepts requests.
    ///
    /// `run_dir` is created if need be; Envoy's log, `envoy.log`, and the
    /// address of its admin endpoint, `admin-address`, are written there, so
    /// each running Envoy needs one of its own.
    ///
    /// # Errors
    ///
    /// [`StartError`]; Envoy is not running then.
    pub fn start(
        installation: &Installation,
        config: &Path,
        run_dir: &Path,
        options: StartOptions,
    ) -> Result<Self, StartError> {
        let deadline = Instant::now() + options.ready_within;
        let folder = |source| StartError::RunFolder {
            folder: run_dir.to_owned(),
            source,
        };
        fs::create_dir_all(run_dir).map_err(folder)?;
        let run_dir = std::path::absolute(run_dir).map_err(folder)?;
        let admin_address = run_dir.join("admin-address");
        if admin_address.exists() {
            fs::remove_file(&admin_address).map_err(folder)?;
        }
        let log = run_dir.join("envoy.log");
        let output = File::create(&log).map_err(folder)?;
        let arguments = arguments(config, &admin_address, &options);
        let supervised = Supervised::start(
            &options.environment,
            &installation.path,
            &arguments,
            &output,
            options.grace,
        )
        .map_err(|source| StartError::Run {
            path: installation.path.clone(),
            source,
        })?;
        let mut starting = Starting {
            supervised,
            log,
            config,
            admin_address,
        };
        let admin = starting.ready(&options, deadline)?;
        let Starting {
            supervised, log, ..
        } = starting;
        Ok(Self {
            supervised,
            admin,
            log,
            discovered: options.discovered,
        })
    }

    /// Where a listener listens, which Envoy chose if the configuration says port 0.
    ///
    /// # Errors
    ///
    /// [`AdminError::NoListener`], which names those that there are, or another
    /// [`AdminError`] if Envoy does not answer.
    pub fn listener_address(&self, name: &str) -> Result<SocketAddr, AdminError> {
        self.admin.listener_address(name)
    }

    /// All listeners that are bound to an address of the network, with their names.
    ///
    /// # Errors
    ///
    /// [`AdminError`] if Envoy does not answer.
    pub fn listeners(&self) -> Result<Vec<(String, SocketAddr)>, AdminError> {
        self.admin.listeners()
    }

    /// Where the admin endpoint listens.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Asks the admin endpoint with GET, as in `/config_dump`.
    ///
    /// # Errors
    ///
    /// [`AdminError`], if Envoy does not answer; an answer other than 200 is no error.
    pub fn admin(&self, path: &str) -> Result<Response, AdminError> {
        self.admin.get(path)
    }

    /// The value of a counter or gauge, or nothing if Envoy has none of this name.
    ///
    /// # Errors
    ///
    /// [`AdminError`], if Envoy does not answer.
    pub fn stat(&self, name: &str) -> Result<Option<u64>, AdminError> {
        self.admin.stat(name)
    }

    /// The counters whose names begin with `prefix`, by what follows it.
    ///
    /// # Errors
    ///
    /// [`AdminError`], if Envoy does not answer.
    pub fn counters(&self, prefix: &str) -> Result<Vec<(String, u64)>, AdminError> {
        self.admin.counters(prefix)
    }

    /// All that Envoy has logged so far.
    ///
    /// # Errors
    ///
    /// Those of reading the file.
    pub fn log_lines(&self) -> io::Result<Vec<LogLine>> {
        self.read_log().next_lines()
    }

    /// Reads the log from its start.
    #[must_use]
    pub fn read_log(&self) -> LogReader {
        LogReader::from_start(&self.log)
    }

    /// Follows the log from here on.
    ///
    /// # Errors
    ///
    /// Those of finding the end of the file.
    pub fn follow_log(&self) -> io::Result<LogReader> {
        LogReader::from_end(&self.log)
    }

    /// The file that Envoy logs to.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// How Envoy ended, or nothing while it runs.
    ///
    /// # Errors
    ///
    /// Those of asking for the state of a child process.
    pub fn ended(&mut self) -> io::Result<Option<Ended>> {
        Ok(self.supervised.try_wait()?.map(Ended::from))
    }

    /// Ends Envoy, first with SIGTERM, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// Those of waiting for a child process.
    pub fn stop(mut self) -> io::Result<Ended> {
        self.supervised.stop().map(Ended::from)
    }
}

fn arguments(config: &Path, admin_address: &Path, options: &StartOptions) -> Vec<OsString> {
    // The access log is flushed 50 times a second, so that it can be waited for.
    let fixed = "--disable-hot-restart --log-level warning --file-flush-interval-msec 20";
    let mut arguments: Vec<OsString> = fixed.split(' ').map(OsString::from).collect();
    arguments.extend(["--config-path".into(), config.into()]);
    arguments.extend(["--admin-address-path".into(), admin_address.into()]);
    arguments.extend([
        "--concurrency".into(),
        options.concurrency.to_string().into(),
    ]);
    arguments.extend([
        "--component-log-level".into(),
        format!("wasm:{}", options.filter_log_level).into(),
    ]);
    arguments.extend(["--log-format".into(), log::FORMAT.into()]);
    arguments
}

/// An Envoy that does not accept requests yet.
struct Starting<'a> {
    supervised: Supervised,
    log: PathBuf,
    config: &'a Path,
    admin_address: PathBuf,
}

impl Starting<'_> {
    fn ready(&mut self, options: &StartOptions, deadline: Instant) -> Result<Admin, StartError> {
        loop {
            if let Some(status) = self.supervised.try_wait().map_err(StartError::Wait)? {
                return Err(failure::of_exit(status.into(), self.config, self.lines()?));
            }
            let state = match self.look(options)? {
                State::Ready(admin) => return Ok(admin),
                State::NotYet(state) => state,
            };
            if Instant::now() >= deadline {
                let lines = self.lines()?;
                return Err(StartError::NotReady {
                    limit: options.ready_within,
                    state,
                    lines,
                });
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn look(&self, options: &StartOptions) -> Result<State, StartError> {
        let Some(address) = read_address(&self.admin_address) else {
            return Ok(State::NotYet("it has no admin endpoint yet".to_owned()));
        };
        let admin = Admin::new(address);
        // The plugins first: Envoy is live without one that was refused.
        for place in &options.discovered {
            let Ok(seen) = admin.discovery(place) else {
                return Ok(State::NotYet(format!("`{address}` does not answer yet")));
            };
            if seen.refused() > 0 {
                return Err(failure::of_plugin(place.name(), self.lines()?));
            }
            if seen.success == 0 {
                return Ok(State::NotYet(format!(
                    "plugin `{}` has no configuration yet",
                    place.name()
                )));
            }
        }
        Ok(match admin.get("/ready") {
            Ok(answer) if answer.status == 200 => State::Ready(admin),
            Ok(answer) => State::NotYet(format!("it says `{}`", answer.text().trim())),
            Err(_) => State::NotYet(format!("`{address}` does not answer yet")),
        })
    }

    fn lines(&self) -> Result<Vec<LogLine>, StartError> {
        LogReader::from_start(&self.log)
            .rest()
            .map_err(|source| StartError::Log {
                path: self.log.clone(),
                source,
            })
    }
}

enum State {
    Ready(Admin),
    NotYet(String),
}

/// What Envoy wrote about its admin endpoint, once it is written whole.
fn read_address(path: &Path) -> Option<SocketAddr> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
