//! `attache run`: a filter in a real Envoy, and what it does to a request.

mod comparison;
mod exchange;
mod fetch;
mod reload;
mod report;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use attache_envoy::upstream::Upstream;
use attache_envoy::{
    Bootstrap, Discovered, Endpoint, Environment, Envoy, FilterSource, Installation, Listener,
    ModuleStore, Plugin, RequestId, RunFolder, ServerHeader, StartOptions, Trailers,
};

use crate::arguments::Run;
use crate::screen::Screen;
use crate::subject::{Loaded, Subject};

use self::exchange::{Exchanges, Sample};
use self::reload::Watched;
use self::report::Report;

/// The listener that requests pass without the filter.
const PAST: &str = "past";
/// The listener with the filter.
const THROUGH: &str = "through";
/// How much of a body a filter may hold back. Generated configurations say it, so that the filter's
/// own limits can lie below.
const BUFFER_LIMIT: u32 = 1 << 20;

/// `attache run`
pub(crate) fn run(arguments: &Run, screen: &Screen) -> anyhow::Result<()> {
    let subject = Subject::named(arguments.filter.as_deref(), screen)?;
    let sample = Sample::new(arguments)?;
    let config = arguments.config.as_deref();
    // A fault in the configuration is told before anything is built.
    let configuration = config.map(read_configuration).transpose()?;

    // Envoy arrives while the filter compiles. Where one of the two fails the other is waited for:
    // cargo has shown its errors by then, and what was fetched is there the next time.
    let selection = arguments.envoy.clone().unwrap_or_default();
    let since = SystemTime::now();
    let (loaded, installation) = thread::scope(|scope| {
        let envoy = scope.spawn(|| fetch::fetch(&selection, screen));
        let loaded = subject.load(screen);
        let installation = envoy
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        loaded.and_then(|loaded| Ok((loaded, installation?)))
    })?;
    let files = match arguments.once {
        true => None,
        false => Some(reload::watch(&loaded, config, since)?),
    };

    let place = Place::new(&loaded, arguments)?;
    place.check(&loaded)?;
    let plugin = place.plugin(&loaded, configuration)?;
    let echo = match arguments.upstream {
        Some(_) => None,
        None => Some(Upstream::echo()?),
    };
    let upstream = arguments.upstream.clone().or_else(|| {
        let echo = echo.as_ref()?;
        Some(Endpoint::from(echo.address()))
    });
    let upstream = upstream.context("there is no upstream")?;
    let mut stage = Stage::start(
        &place,
        &plugin,
        &installation,
        upstream,
        arguments.port,
        screen,
    )?;

    let exchanges = sample.exchange(&stage, echo.as_ref())?;
    let report = Report::new(&loaded, &installation, &stage, &sample);
    print(&report, &exchanges, arguments.json, screen)?;
    if !arguments.json {
        screen.print(&report.what_next(arguments.once))?;
    }
    let Some(files) = files else {
        stage.envoy.stop().context("cannot stop Envoy")?;
        return Ok(());
    };
    let watched = Watched {
        subject: &subject,
        config,
        place: &place,
        sample: &sample,
    };
    let mut show = |loaded: &Loaded, stage: &Stage, exchanges: &Exchanges| {
        let report = Report::new(loaded, &installation, stage, &sample);
        print(&report, exchanges, arguments.json, screen)
    };
    reload::until_interrupted(
        &watched,
        &mut stage,
        echo.as_ref(),
        files,
        plugin,
        &mut show,
        screen,
    )
}

fn print(
    report: &Report<'_>,
    exchanges: &Exchanges,
    json: bool,
    screen: &Screen,
) -> anyhow::Result<()> {
    let text = if json {
        report.to_json(exchanges)
    } else {
        report.to_text(exchanges, screen)
    };
    screen
        .print(&text)
        .context("cannot write to standard output")
}

/// Where the files of this run are, and what the plugin is called.
struct Place {
    folder: RunFolder,
    name: String,
    root_id: String,
}

impl Place {
    fn new(loaded: &Loaded, arguments: &Run) -> anyhow::Result<Self> {
        let runs = match &loaded.target {
            Some(target) => target.join("run"),
            None => attache_envoy::cache_folder(&Environment::current())?.join("run"),
        };
        let folder = RunFolder::claim(&runs.join(&loaded.name))
            .with_context(|| format!("cannot use a folder in `{}`", runs.display()))?;
        let declared = loaded.facts.declarations.first();
        Ok(Self {
            folder,
            name: loaded.name.clone(),
            root_id: arguments
                .root_id
                .clone()
                .or_else(|| declared.map(|declaration| declaration.root_id.clone()))
                .unwrap_or_default(),
        })
    }

    fn plugin(&self, loaded: &Loaded, configuration: Option<String>) -> anyhow::Result<Plugin> {
        let module = ModuleStore::new(self.folder.join("modules")).keep(&loaded.bytes)?;
        let mut plugin = Plugin::new(&self.name, module);
        plugin.root_id.clone_from(&self.root_id);
        plugin.configuration = configuration;
        let described = loaded.facts.description.as_ref();
        plugin.allow_on_headers_stop_iteration =
            described.is_some_and(|it| it.host_options.allow_on_headers_stop_iteration);
        Ok(plugin)
    }

    /// Refuses what would let every request pass among HTTP filters, for it is none.
    fn check(&self, loaded: &Loaded) -> anyhow::Result<()> {
        let described = loaded.facts.description.iter();
        let mut filters = described.flat_map(|it| &it.filters);
        let kind = filters
            .find(|it| it.root_id == self.root_id)
            .map(|it| &it.kind);
        match kind {
            Some(kind) if kind != "http" => bail!(
                "`{}` is of the kind `{kind}`, and `attache run` runs HTTP filters; `attache test --on \
                 envoy` plays a suite of any kind in Envoy",
                self.root_id
            ),
            _ => Ok(()),
        }
    }

    fn discovered(&self) -> Discovered {
        Discovered::new(&self.name, self.folder.join("plugins"))
    }
}

/// A running Envoy with its two listeners.
struct Stage {
    envoy: Envoy,
    config: PathBuf,
    access_log: PathBuf,
    past: SocketAddr,
    through: SocketAddr,
}

impl Stage {
    fn start(
        place: &Place,
        plugin: &Plugin,
        installation: &Installation,
        upstream: Endpoint,
        port: u16,
        screen: &Screen,
    ) -> anyhow::Result<Self> {
        let discovered = place.discovered();
        discovered.write(plugin)?;
        let access_log = place.folder.join("access.log");
        let listener = |name| {
            let mut listener = Listener::new(name);
            listener.access_log = Some(access_log.clone());
            listener.buffer_limit = Some(BUFFER_LIMIT);
            listener.trailers = Trailers::Kept;
            listener.server_header = ServerHeader::Untouched;
            // A random one would differ between the two requests.
            listener.request_id = RequestId::Untouched;
            listener
        };
        let mut through = listener(THROUGH);
        through.address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        through
            .filters
            .push(FilterSource::Discovered(discovered.clone()));
        let bootstrap = Bootstrap::new(upstream, vec![listener(PAST), through]);
        let config = bootstrap.write(&place.folder.join("envoy.yaml"))?;

        screen.stage("Starting", format_args!("Envoy {}", installation.version));
        let begun = Instant::now();
        let options = StartOptions {
            discovered: bootstrap.discovered(),
            ..StartOptions::default()
        };
        let envoy = Envoy::start(installation, &config, &place.folder, options)
            .with_context(|| format!("cannot start `{}` in Envoy", place.name))?;
        let stage = Self {
            past: envoy.listener_address(PAST)?,
            through: envoy.listener_address(THROUGH)?,
            envoy,
            config,
            access_log,
        };
        screen.stage(
            "Ready",
            format_args!(
                "on http://{} after {}",
                stage.through,
                seconds(begun.elapsed())
            ),
        );
        Ok(stage)
    }
}

/// The configuration's text, once it is known to be JSON.
fn read_configuration(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration `{}`", path.display()))?;
    serde_json::from_str::<serde_json::Value>(&text)
        .with_context(|| format!("the configuration `{}` is not JSON", path.display()))?;
    Ok(text)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
