//! The client of registries, as the command line wants it.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use anyhow::Context;
use attache_module::harmless;
use attache_package::registry::{Client, Options, Progress, Reference};
use attache_package::signing::{Policy, Signer, Verdict};
use attache_package::{Descriptor, Graph};
use serde_json::{Value, json};

use super::arguments::{Remote, Trust};
use super::{bytes, warn};

/// Below this size nothing is told: it is there before it is read.
const WORTH_TELLING: u64 = 100_000;

impl Remote {
    /// A client that lets in what the policy lets in.
    pub(super) fn client(&self, trust: &Trust) -> anyhow::Result<Client> {
        let mut options = self.options()?;
        options.policy = trust.policy()?;
        Ok(Client::new(options)?)
    }

    /// A client for what needs no policy, or where it is asked afterwards.
    pub(super) fn client_without_policy(&self) -> anyhow::Result<Client> {
        Ok(Client::new(self.options()?)?)
    }

    fn options(&self) -> anyhow::Result<Options> {
        let mut options = Options::default();
        options.plain_http.clone_from(&self.plain_http);
        for path in &self.ca_file {
            let pem =
                fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            options.certificates.push(pem);
        }
        let on_terminal = io::stderr().is_terminal();
        options.progress = Some(Arc::new(move |progress| show(progress, on_terminal)));
        Ok(options)
    }
}

impl Trust {
    pub(super) fn policy(&self) -> anyhow::Result<Option<Policy>> {
        let Some(path) = &self.policy else {
            return Ok(None);
        };
        let policy = Policy::read(path);
        Ok(Some(policy.with_context(|| {
            format!("cannot use `{}`", path.display())
        })?))
    }

    /// Has the policy look at an image that came from no registry, under the name that it has in one.
    pub(super) fn judge(&self, graph: &Graph, name: &Reference) -> anyhow::Result<Option<Verdict>> {
        let policy = self.policy()?;
        let verdict = policy.map(|policy| graph.judge(&policy, &name.name()));
        Ok(verdict.transpose()?)
    }
}

/// Says what did not come along with an image.
pub(super) fn say_left_out(graph: &Graph) {
    const SAID: usize = 5;
    let left_out = graph.left_out();
    for one in left_out.iter().take(SAID) {
        warn(format_args!("left out of what is attached: {one}"));
    }
    if left_out.len() > SAID {
        warn(format_args!("{} more are left out", left_out.len() - SAID));
    }
}

/// Why an image was let in, as lines of a result.
pub(super) fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Unsigned { by } => format!("  unsigned  let in by {}\n", harmless(by)),
        verdict => verdict
            .signers()
            .iter()
            .map(|signer| format!("  signed by {}\n", harmless(&signer.to_string())))
            .collect(),
    }
}

/// The same for programs: who has signed, and what lets in an image that nobody has.
pub(super) fn fields(verdict: &Verdict) -> (Vec<Value>, Option<&str>) {
    let signers = verdict.signers().iter().map(|signer| match signer {
        Signer::Key(key) => json!({ "key": key.fingerprint() }),
        Signer::Identity(identity) => {
            json!({ "subject": identity.subject, "issuer": identity.issuer })
        }
        _ => json!({}),
    });
    let by = match verdict {
        Verdict::Unsigned { by } => Some(by.as_str()),
        _ => None,
    };
    (signers.collect(), by)
}

/// Plays a future to its end.
pub(super) fn wait<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(future)
}

fn show(progress: &Progress<'_>, on_terminal: bool) {
    match progress {
        Progress::Fetched { of, bytes: count } if on_terminal => {
            line(
                "Fetching",
                of,
                &format!("{} of {}", bytes(*count), bytes(of.size)),
            );
            if *count == of.size {
                clear();
            }
        }
        Progress::Sending { of } if on_terminal => line("Sending", of, &bytes(of.size)),
        Progress::There { .. } if on_terminal => clear(),
        Progress::Again { error, after } => {
            clear();
            warn(format_args!(
                "{error}; again in {:.1} s",
                after.as_secs_f64()
            ));
        }
        _ => {}
    }
}

/// One line that the next one replaces.
fn line(verb: &str, of: &Descriptor, what: &str) {
    if of.size >= WORTH_TELLING {
        let _ = write!(
            io::stderr(),
            "\r\x1b[K{verb:>12} {:.19}… {what}",
            of.digest.to_string()
        );
    }
}

pub(super) fn clear() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}
