//! `attache run`: filters in a real Envoy, and what they do to a request.

mod chain;
mod comparison;
mod exchange;
mod fetch;
mod harness;
mod live;
mod own;
mod reload;
mod report;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use attache_envoy::upstream::Upstream;
use attache_envoy::{
    Archive, Bootstrap, Cluster, Codec, Endpoint, Envoy, FilterSource, Installation, Listener,
    RequestId, ServerHeader, StartOptions, Trailers,
};
use attache_module::trap_advice;

use crate::arguments::Run;
use crate::screen::Screen;
use crate::subject::Loaded;

use self::chain::{Place, Wanted};
use self::exchange::{Exchanges, Sample};
use self::live::{Counters, Live, Seen, Taps};
use self::reload::{Serving, Watched};
use self::report::Report;

/// The listener that requests pass without the filter.
const PAST: &str = "past";
/// The listener with the filter.
const THROUGH: &str = "through";
/// The listener of the live view, which has the filters with taps between them.
const SHOWN: &str = "shown";
/// How much of a body a filter may hold back. Generated configurations say it, so that the filter's
/// own limits can lie below.
const BUFFER_LIMIT: u32 = 1 << 20;
/// How many lines of filters are shown beside the first comparison.
const LINES: usize = 10;
/// How long an upstream may take to be there.
const KNOCK: Duration = Duration::from_secs(1);

/// `attache run`
pub(crate) fn run(arguments: &Run, screen: &Screen) -> anyhow::Result<()> {
    let wanted = chain::wanted(arguments, screen)?;
    let sample = Sample::new(arguments)?;
    // Faults in files are told before anything is built.
    for one in &wanted {
        one.configuration()?;
    }
    let own = arguments.bootstrap.as_deref().map(own::Own::read);
    let own = own.transpose()?;
    for (number, (name, _)) in arguments.cluster.iter().enumerate() {
        if arguments.cluster[..number]
            .iter()
            .any(|(known, _)| known == name)
        {
            bail!("two servers are given for the cluster `{name}`, which has one here");
        }
    }
    // The harness writes its own.
    let har = arguments.har.as_deref().filter(|_| !arguments.harness);
    let archive = har.map(Archive::create).transpose()?;
    if let Some(upstream) = &arguments.upstream {
        warn_of_silence("upstream", upstream, screen);
    }
    for (name, server) in &arguments.cluster {
        warn_of_silence(&format!("cluster `{name}` at"), server, screen);
    }

    if arguments.harness {
        return harness::serve(arguments, &wanted, &sample, screen);
    }

    // Envoy arrives while the filters compile. Where one of the two fails the other is waited for:
    // cargo has shown its errors by then, and what was fetched is there the next time.
    let selection = arguments.envoy.clone().unwrap_or_default();
    let since = SystemTime::now();
    let (loaded, installation) = thread::scope(|scope| {
        let envoy = scope.spawn(|| fetch::fetch(&selection, screen));
        let loaded = chain::load(&wanted, screen);
        let installation = envoy
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        loaded.and_then(|loaded| Ok((loaded, installation?)))
    })?;
    let files = match arguments.once {
        true => None,
        false => Some(reload::watch(&loaded, &wanted, since)?),
    };

    chain::check(&loaded, &wanted)?;
    let place = Place::new(&loaded, &wanted)?;
    let plugins = place.plugins(&loaded, &wanted)?;
    place.write(&plugins)?;
    let mut watched = Watched {
        wanted: &wanted,
        place: &place,
        serving: Serving::new(plugins),
    };
    if let Some(own) = own {
        let mut envoy = own.start(&place, &installation, screen)?;
        let Some(files) = files else {
            envoy.stop().context("cannot stop Envoy")?;
            return Ok(());
        };
        return reload::until_interrupted(
            &mut watched,
            &mut envoy,
            files,
            &mut |_, _| Ok(()),
            &mut |_| Ok(()),
            screen,
        );
    }
    compared(
        arguments,
        &wanted,
        &sample,
        &loaded,
        &installation,
        files,
        archive,
        watched,
        screen,
    )
}

/// Says so where nobody listens at an upstream of the user's: Envoy answers 503 then, and says no more.
fn warn_of_silence(what: &str, upstream: &Endpoint, screen: &Screen) {
    let addresses = (upstream.host(), upstream.port()).to_socket_addrs();
    let mut addresses = addresses.into_iter().flatten();
    if !addresses.any(|address| TcpStream::connect_timeout(&address, KNOCK).is_ok()) {
        screen.warn(format_args!(
            "nobody answers at the {what} `{}:{}`, and Envoy says 503 until somebody does; start your server{}",
            upstream.host(),
            upstream.port(),
            match what {
                "upstream" => ", or leave --upstream out for one that answers with what it received",
                _ => "",
            }
        ));
    }
}

/// With a request past the filters and one through them, in a configuration of ours.
#[expect(clippy::too_many_arguments, reason = "the parts of one run, used once")]
fn compared(
    arguments: &Run,
    wanted: &[Wanted],
    sample: &Sample,
    loaded: &[Loaded],
    installation: &Installation,
    files: Option<crate::watch::Watch>,
    mut archive: Option<Archive>,
    mut watched: Watched<'_>,
    screen: &Screen,
) -> anyhow::Result<()> {
    let echo = match arguments.upstream {
        Some(_) => None,
        None => Some(Upstream::echo()?),
    };
    let upstream = arguments.upstream.clone().or_else(|| {
        let echo = echo.as_ref()?;
        Some(Endpoint::from(echo.address()))
    });
    let upstream = upstream.context("there is no upstream")?;
    let place = watched.place;
    // What one filter does is seen by what our upstream receives and the client gets.
    let tapped = !arguments.once && (wanted.len() > 1 || echo.is_none());
    let (stage, mut envoy) =
        Stage::start(place, installation, &upstream, arguments, tapped, screen)?;

    let exchanges = sample.exchange(&stage, echo.as_ref())?;
    let report = Report::new(loaded, installation, &stage, &envoy, sample);
    print(&report, &exchanges, arguments.json, screen)?;
    tell_log(&envoy, screen)?;
    let live = match arguments.once {
        true => None,
        false => Some(stage.live(place, echo)?),
    };
    if !arguments.json {
        let address = live.as_ref().map(Live::address);
        let unused = wanted.iter().find_map(Wanted::unused_configuration);
        screen.print(&report.what_next(address, wanted.len(), unused.as_deref()))?;
    }
    let (Some(files), Some(live)) = (files, live) else {
        envoy.stop().context("cannot stop Envoy")?;
        return Ok(());
    };
    let mut counters = Counters::default();
    counters.grown(&envoy)?;
    reload::until_interrupted(
        &mut watched,
        &mut envoy,
        files,
        &mut |loaded, envoy| {
            let exchanges = live.apart(|echo| sample.exchange(&stage, echo));
            match exchanges {
                Ok(exchanges) => {
                    let report = Report::new(loaded, installation, &stage, envoy, sample);
                    print(&report, &exchanges, arguments.json, screen)
                }
                Err(error) => {
                    screen.error(error.as_ref());
                    Ok(())
                }
            }
        },
        &mut |envoy| {
            let seen = live.take();
            if seen.is_empty() {
                return Ok(());
            }
            if let Some(archive) = &mut archive {
                archive.add(seen.iter().map(Seen::archived))?;
            }
            let block = |seen: &Seen| match arguments.json {
                true => seen.to_json(),
                false => seen.to_text(screen),
            };
            let mut text: String = seen.iter().map(block).collect();
            if !arguments.json {
                // Of an Envoy that ends others tell.
                text.push_str(&counters.grown(envoy).unwrap_or_default());
            }
            screen
                .print(&text)
                .context("cannot write to standard output")
        },
        screen,
    )
}

/// What the filters have said so far, each line once: the request was sent more than once.
fn tell_log(envoy: &Envoy, screen: &Screen) -> anyhow::Result<()> {
    let lines = envoy.log_lines().context("cannot read Envoy's log")?;
    let own = lines
        .iter()
        .filter(|line| line.message.starts_with("wasm log "));
    let own: BTreeSet<String> = own.map(ToString::to_string).collect();
    for line in own.iter().take(LINES) {
        screen.stage("Envoy", line);
    }
    if own
        .iter()
        .any(|line| line.contains("`proxy_http_call` answered 2"))
    {
        screen.warn(
            "a filter calls out to a cluster that this configuration does not have; --cluster NAME=HOST:PORT gives \
             it one, --bootstrap FILE runs it in a configuration of yours that has it, and a suite plays one \
             (`clusters`)",
        );
    }
    let said: Vec<&str> = own.iter().map(String::as_str).collect();
    if let Some(advice) = trap_advice(&said.concat()) {
        screen.warn(advice);
    }
    Ok(())
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

/// The listeners of a running Envoy.
struct Stage {
    config: PathBuf,
    access_log: PathBuf,
    past: SocketAddr,
    through: SocketAddr,
    /// That of the live view, and its log, where it has one of its own.
    shown: Option<(SocketAddr, PathBuf)>,
}

impl Stage {
    fn start(
        place: &Place,
        installation: &Installation,
        upstream: &Endpoint,
        arguments: &Run,
        tapped: bool,
        screen: &Screen,
    ) -> anyhow::Result<(Self, Envoy)> {
        let access_log = place.folder.join("access.log");
        let listener = |name: &str| {
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
        through.address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
        through.filters = place
            .discovered()
            .into_iter()
            .map(FilterSource::Discovered)
            .collect();
        let mut listeners = vec![listener(PAST), through];
        let taps_log = place.folder.join("taps.log");
        if tapped {
            let mut shown = listener(SHOWN);
            let filters = listeners.iter().flat_map(|it| it.filters.clone());
            shown.filters = live::between(filters.collect());
            shown.access_log = Some(taps_log.clone());
            listeners.push(shown);
        }
        let mut bootstrap = Bootstrap::new(upstream.clone(), listeners);
        for (name, server) in &arguments.cluster {
            let cluster = Cluster::new(server.clone(), Codec::Http1);
            bootstrap.clusters.insert(name.clone(), cluster);
        }
        let config = bootstrap.write(&place.folder.join("envoy.yaml"))?;

        screen.stage("Starting", format_args!("Envoy {}", installation.version));
        let begun = Instant::now();
        let options = StartOptions {
            discovered: bootstrap.discovered(),
            ..StartOptions::default()
        };
        let envoy = match Envoy::start(installation, &config, &place.folder, options) {
            // There are Envoys without Lua, which the taps are written in.
            Err(error) if tapped && explained(&error).contains(LUA) => {
                return Self::start(place, installation, upstream, arguments, false, screen);
            }
            started => {
                started.with_context(|| format!("cannot start `{}` in Envoy", place.title()))?
            }
        };
        let shown = match tapped {
            true => Some((envoy.listener_address(SHOWN)?, taps_log)),
            false => None,
        };
        let stage = Self {
            shown,
            past: envoy.listener_address(PAST)?,
            through: envoy.listener_address(THROUGH)?,
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
        Ok((stage, envoy))
    }

    /// The address for requests of the user's.
    fn live(&self, place: &Place, echo: Option<Upstream>) -> anyhow::Result<Live> {
        match &self.shown {
            None => Live::start(self.through, echo, None),
            Some((shown, log)) => Live::start(*shown, echo, Some(Taps::new(log, place.names()))),
        }
    }
}

/// The filter that an Envoy may be built without.
const LUA: &str = "envoy.filters.http.lua";

/// An error with its causes, on one line.
fn explained(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
