//! `attache run --harness`: filters served by the harness, for requests of the user's.
//!
//! `attache` builds the modules and hands them over; when a file of them changes, the filter is replaced as
//! discovery replaces it.

mod arguments;
mod proxy;
mod told;
mod ways;

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use attache_envoy::http1::{self, Header};
use attache_envoy::upstream::{Fault, Reply, Upstream};
use attache_envoy::{Archive, Archived, ArchivedResponse};
use clap::Parser;

use self::arguments::Arguments;
use self::proxy::{Answer, Proxy};
use super::screen::Screen;

/// How often files are looked at, and the clock of the filters is set.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Serves until it is ended, or until the request of the command line is answered.
pub(super) fn serve(words: Vec<OsString>, screen: &Screen) -> anyhow::Result<bool> {
    let arguments = Arguments::parse_from(words);
    // Seen before they are read, so that no change is missed.
    let mut files = Files::of(arguments.files());
    let archive = arguments.har.as_deref().map(Archive::create).transpose()?;
    let proxy = Proxy::start(&arguments)?;
    let (tell, told) = mpsc::channel();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let front = Upstream::start_at(address, {
        let proxy = proxy.clone();
        move |request| {
            let started = SystemTime::now();
            let begun = Instant::now();
            let mut answer = proxy.pass(request);
            (answer.started, answer.took) = (started, begun.elapsed());
            let reply = reply(&answer);
            // Nobody is told any more where the program ends.
            let _ = tell.send(answer);
            reply
        }
    })
    .with_context(|| format!("cannot serve on {address}; --port 0 takes a free one"))?;
    let address = front.address();
    // Nobody is told of the address before, so that this request is the first.
    let response = http1::exchange(address, &arguments.wire(), TIME_LIMIT);
    screen.stage("Ready", format_args!("on http://{address}, in the harness"));
    // It is told before it is answered.
    let first = told.try_recv().ok();
    if let Some(answer) = &first {
        screen.print(&show(answer, &arguments))?;
    }
    match (response, &first) {
        (Err(error), None) => bail!("no answer from the harness: {error}"),
        (Ok(response), None) => bail!(
            "the request is answered {} before any filter sees it: it is no request in HTTP/1.1",
            response.status
        ),
        (_, Some(_)) => {}
    }
    if arguments.once {
        return Ok(first.is_some_and(|answer| answer.broken.is_none()));
    }
    if !arguments.json {
        screen.print(&format!(
            "\nNow send a request of your own, and see here what becomes of it:\n  curl -i http://{address}/\n\
             This is the harness, which answers as Envoy does; what only a real one can tell, `attache run` \
             without --harness does.\nChange the filter or its configuration and it reloads. Ctrl-C ends it all.\n"
        ))?;
    }
    let mut archive = archive;
    loop {
        thread::sleep(LOOK_EVERY);
        drop(front.take());
        for answer in told.try_iter() {
            screen.print(&show(&answer, &arguments))?;
            if let Some(archive) = &mut archive {
                archive.add([archived(&answer)])?;
            }
        }
        proxy.let_time_pass();
        if let Some(changed) = files.changed() {
            screen.stage("Changed", changed.display());
            match proxy.reload(&arguments) {
                Ok(names) if names.is_empty() => {
                    screen.stage("Unchanged", "modules and configurations are what serves");
                }
                Ok(names) => screen.stage("Reloaded", names.join(", ")),
                Err(error) => {
                    screen.error(error.as_ref());
                    if proxy.serves_as_before() {
                        screen.stage("Serving", "what served before");
                    }
                }
            }
        }
    }
}

fn show(answer: &Answer, arguments: &Arguments) -> String {
    match arguments.json {
        true => format!("{}\n", told::json(answer)),
        false => told::text(answer),
    }
}

/// What an archive keeps of it.
fn archived(answer: &Answer) -> Archived<'_> {
    let response = answer.response.as_ref();
    Archived {
        request: &answer.request,
        response: response.map(|it| ArchivedResponse {
            status: it.status,
            reason: "",
            headers: &it.headers,
            body: &it.body,
        }),
        started: answer.started,
        took: answer.took,
        reached: Some(answer.upstream.is_some()),
    }
}

/// What the client gets.
fn reply(answer: &Answer) -> Reply {
    let Some(response) = &answer.response else {
        return Reply::new(502).fault(Fault::Closed);
    };
    let mut reply = Reply::new(response.status).body(response.body.clone());
    let framed = |header: &&Header| {
        let name = header.name.to_ascii_lowercase();
        name != b"transfer-encoding" && name != b"content-length" && !name.starts_with(b":")
    };
    reply.headers = response.headers.iter().filter(framed).cloned().collect();
    reply
}

/// Files, and how each was last seen.
struct Files(Vec<(PathBuf, Option<Stamp>)>);

/// When a file was written, and how long it is: a file that is written in two steps may have one time.
type Stamp = (SystemTime, u64);

impl Files {
    fn of(paths: Vec<PathBuf>) -> Self {
        let stamp = |path: PathBuf| {
            let written = written(&path);
            (path, written)
        };
        Self(paths.into_iter().map(stamp).collect())
    }

    /// One that has been written since this was asked before.
    fn changed(&mut self) -> Option<PathBuf> {
        let mut found = None;
        for (path, before) in &mut self.0 {
            let now = written(path);
            if now.is_some() && now != *before {
                *before = now;
                found = Some(path.clone());
            }
        }
        found
    }
}

fn written(path: &Path) -> Option<Stamp> {
    let facts = fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}
