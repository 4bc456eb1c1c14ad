//! What stands around Envoy and the control plane, where it is installed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use attache_envoy::{Environment, Supervised};

use super::topology;

/// How long one may take to listen.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long one may take to end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// Where packages put what Grafana shows.
const GRAFANA_HOME: &str = "/usr/share/grafana";

/// A program that was started, or why it was not.
pub(super) struct Companion {
    pub(super) name: &'static str,
    pub(super) state: Result<Started, String>,
}

pub(super) struct Started {
    address: SocketAddr,
    _program: Supervised,
}

impl Companion {
    /// Where it is, or why it is nowhere.
    pub(super) fn told(&self) -> String {
        match &self.state {
            Ok(started) => format!("http://{}/", started.address),
            Err(reason) => format!("left out: {reason}"),
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        self.state.as_ref().ok().map(|started| started.address)
    }
}

/// Starts all of them.
pub(super) fn start(run: &Path, envoy: SocketAddr, control_plane: SocketAddr) -> Vec<Companion> {
    let registry = companion("registry", |listen| registry(run, listen));
    let prometheus = companion("Prometheus", |listen| {
        prometheus(run, listen, envoy, control_plane)
    });
    let source = prometheus.address();
    let grafana = companion("Grafana", |listen| grafana(run, listen, source));
    vec![registry, prometheus, grafana]
}

/// A program with its arguments.
type Call = (PathBuf, Vec<OsString>, PathBuf);

fn companion(name: &'static str, call: impl Fn(SocketAddr) -> Result<Call, String>) -> Companion {
    Companion {
        name,
        state: begin(call),
    }
}

fn begin(call: impl Fn(SocketAddr) -> Result<Call, String>) -> Result<Started, String> {
    let told = |error: std::io::Error| format!("it does not start: {error}");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(told)?;
    let address = free.local_addr().map_err(told)?;
    drop(free);
    let (program, arguments, log) = call(address)?;
    let output = File::create(&log).map_err(told)?;
    let environment = Environment::current();
    let mut program =
        Supervised::start(&environment, &program, &arguments, &output, GRACE).map_err(told)?;
    let deadline = Instant::now() + READY_WITHIN;
    while TcpStream::connect(address).is_err() {
        let has_ended = !matches!(program.try_wait(), Ok(None));
        if has_ended || Instant::now() > deadline {
            return Err(format!("it does not start, see {}", log.display()));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(Started {
        address,
        _program: program,
    })
}

/// Our own, which is a verb of `attache-image`.
fn registry(run: &Path, listen: SocketAddr) -> Result<Call, String> {
    let arguments = vec![
        "registry".into(),
        run.join("registry").into(),
        "--listen".into(),
        listen.to_string().into(),
    ];
    Ok((find("attache-image")?, arguments, run.join("registry.log")))
}

fn prometheus(
    run: &Path,
    listen: SocketAddr,
    envoy: SocketAddr,
    control_plane: SocketAddr,
) -> Result<Call, String> {
    let program = find("prometheus")?;
    let rules = run.join("rules");
    for (name, text) in topology::RULES {
        write(&rules.join(name), text)?;
    }
    let config = run.join("prometheus.yaml");
    let text = topology::prometheus(&rules.display().to_string(), envoy, control_plane);
    write(&config, &text)?;
    let option = |name: &str, value: &std::ffi::OsStr| {
        let mut option = OsString::from(name);
        option.push(value);
        option
    };
    let arguments = vec![
        option("--config.file=", config.as_os_str()),
        option("--storage.tsdb.path=", run.join("series").as_os_str()),
        option("--web.listen-address=", listen.to_string().as_ref()),
    ];
    Ok((program, arguments, run.join("prometheus.log")))
}

fn grafana(run: &Path, listen: SocketAddr, source: Option<SocketAddr>) -> Result<Call, String> {
    let program = find("grafana")?;
    let source = source.ok_or("it would have no data without Prometheus")?;
    if !Path::new(GRAFANA_HOME).is_dir() {
        return Err(format!("`{GRAFANA_HOME}` is no folder"));
    }
    let (boards, provisioning) = (run.join("dashboards"), run.join("grafana"));
    let (name, text) = topology::DASHBOARD;
    write(&boards.join(name), text)?;
    for (name, text) in topology::grafana(&boards.display().to_string(), source) {
        write(&provisioning.join(name), &text)?;
    }
    let set = |name: &str, value: String| OsString::from(format!("{name}={value}"));
    let shown = |path: PathBuf| path.display().to_string();
    let mut arguments = vec![
        set("GF_SERVER_HTTP_ADDR", listen.ip().to_string()),
        set("GF_SERVER_HTTP_PORT", listen.port().to_string()),
        set("GF_PATHS_DATA", shown(run.join("grafana-data"))),
        set("GF_PATHS_LOGS", shown(run.join("grafana-data"))),
        set("GF_PATHS_PROVISIONING", shown(provisioning)),
        set("GF_AUTH_ANONYMOUS_ENABLED", "true".to_owned()),
        set("GF_ANALYTICS_REPORTING_ENABLED", "false".to_owned()),
        set(
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH",
            shown(boards.join(name)),
        ),
    ];
    arguments.push(program.into());
    arguments.extend(["server", "--homepath", GRAFANA_HOME].map(OsString::from));
    Ok(("/usr/bin/env".into(), arguments, run.join("grafana.log")))
}

/// A program beside this one, or on PATH.
fn find(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().ok();
    let beside = own.and_then(|own| own.parent().map(Path::to_owned));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = beside.into_iter().chain(std::env::split_paths(&path));
    let mut programs = folders.map(|folder| folder.join(name));
    programs
        .find(|program| program.is_file())
        .ok_or_else(|| format!("`{name}` is not installed (it is not on PATH)"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)
    };
    write().map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}
