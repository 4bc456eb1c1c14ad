//! What work leaves elsewhere than in the head of a response, where it leaves nothing there.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use attache_envoy::{Envoy, http1};

use super::load::Client;
use super::peers::Peers;
use super::work::Candidate;

/// How long a trace may take to be seen: services hear of the end of a stream after the client, and a log is written now
/// and then.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where work is seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trace {
    /// Each body that the upstream gets has this text.
    Body(&'static str),
    /// Each has as many bytes.
    Length(usize),
    /// The service of this cluster is asked for each request, with at least so many bytes.
    Asked(&'static str, usize),
    /// The script has run for each request, without an error.
    Script,
    /// A counter whose name begins so, for Prometheus, has risen by all requests.
    Counter(&'static str),
    /// Envoy's log has this text for a request, if it logs each call between host and VM.
    Call(&'static str),
    /// The upstream gets the length of a body that came without: the filter has waited for all of it.
    Held,
}

/// An Envoy in which work is looked for.
pub(super) struct Place<'a> {
    pub(super) envoy: &'a Envoy,
    pub(super) peers: &'a Peers,
}

impl Place<'_> {
    /// Whether a candidate has done its work, of which it had `count` requests since its peers have forgotten what
    /// was before, and Envoy has none of its other requests.
    pub(super) fn look(
        &self,
        candidate: &Candidate,
        client: &mut Client,
        count: usize,
    ) -> anyhow::Result<()> {
        let peers = self.peers;
        for &trace in &candidate.traces {
            match trace {
                Trace::Body(text) => {
                    let has =
                        |body: &[u8]| body.windows(text.len()).any(|it| it == text.as_bytes());
                    let bodies = peers.bodies("upstream", count, PATIENCE)?;
                    ensure!(
                        bodies.iter().all(|body| has(body)),
                        "the upstream got a body without `{text}`"
                    );
                }
                Trace::Length(length) => {
                    let bodies = peers.bodies("upstream", count, PATIENCE)?;
                    ensure!(
                        bodies.iter().all(|body| body.len() == length),
                        "the upstream got a body that has not {length} bytes"
                    );
                }
                Trace::Asked(cluster, least) => {
                    let asked = peers.bodies(cluster, count, PATIENCE)?;
                    ensure!(
                        asked.iter().all(|body| body.len() >= least),
                        "`{cluster}` was asked with fewer than {least} bytes"
                    );
                }
                Trace::Script => self.script(candidate.name, count)?,
                Trace::Counter(name) => self.counter(name, count)?,
                Trace::Call(text) => self.call(text, client)?,
                Trace::Held => self.held(candidate.name)?,
            }
        }
        Ok(())
    }

    fn script(&self, name: &str, count: usize) -> anyhow::Result<()> {
        let stat = |what: &str| self.envoy.stat(&format!("http.{name}.lua.{what}"));
        let (ran, failed) = (stat("executions")?, stat("errors")?);
        // A script runs for the request, and again for the response if it has a function for it.
        ensure!(
            ran.is_some_and(|ran| ran >= count as u64) && failed == Some(0),
            "of {count} requests the script has seen {ran:?}, with errors in {failed:?}"
        );
        Ok(())
    }

    fn counter(&self, name: &str, count: usize) -> anyhow::Result<()> {
        let counted = || {
            let answer = self.envoy.admin("/stats/prometheus")?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let lines = text.lines().filter(|line| line.starts_with(name));
            let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
            anyhow::Ok(values.fold(0.0, |sum, value| sum + value))
        };
        // It is told at the end of a stream, or a little later.
        until(|| Ok(counted()? >= count as f64))?;
        let seen = counted()?;
        ensure!(
            seen == count as f64,
            "`{name}` counts {seen} of {count} requests"
        );
        Ok(())
    }

    fn call(&self, text: &str, client: &mut Client) -> anyhow::Result<()> {
        self.log("trace")?;
        let mut log = self.envoy.follow_log()?;
        client.latency(1)?;
        let mut is_there = false;
        let seen = until(|| {
            is_there |= log
                .next_lines()?
                .iter()
                .any(|line| line.message.contains(text));
            Ok(is_there)
        });
        self.log("info")?;
        seen?;
        ensure!(is_there, "the log has no `{text}`");
        Ok(())
    }

    /// Sets from which level on plugins and what they call are logged.
    fn log(&self, level: &str) -> anyhow::Result<()> {
        let address = self.envoy.admin_address();
        let request = format!(
            "POST /logging?wasm={level} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let answer = http1::exchange(address, request.as_bytes(), PATIENCE)?;
        ensure!(answer.status == 200, "Envoy does not log as told");
        Ok(())
    }

    fn held(&self, name: &str) -> anyhow::Result<()> {
        let address = self.envoy.listener_address(name)?;
        let request = "POST / HTTP/1.1\r\nhost: bench\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                       3\r\nabc\r\n0\r\n\r\n";
        self.peers.forget();
        let answer = http1::exchange(address, request.as_bytes(), PATIENCE)?;
        ensure!(answer.status == 200, "a body in chunks is not answered");
        let requests = self.peers.requests("upstream", 1, PATIENCE)?;
        let request = requests.first().context("no request")?;
        ensure!(
            request.header("content-length").eq([b"3"]),
            "the upstream does not get the length of a body in chunks"
        );
        Ok(())
    }
}

/// Waits until something is so, but not for ever.
fn until(mut is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !is_so()? && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
