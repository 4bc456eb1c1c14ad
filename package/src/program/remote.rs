//! The client of registries, as the command line wants it.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use anyhow::Context;
use attache_package::registry::{Client, Options, Progress, Reference};
use attache_package::signing::Policy;
use attache_package::{Descriptor, Graph};

use super::arguments::Remote;
use super::{bytes, warn};

/// Below this size nothing is told: it is there before it is read.
const WORTH_TELLING: u64 = 100_000;

impl Remote {
    /// A client that lets in what the policy lets in.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let mut options = self.options()?;
        options.policy = self.policy()?;
        Ok(Client::new(options)?)
    }

    /// Has the policy look at an image that came from no registry, under the name that it has in one.
    pub(super) fn judge(&self, graph: &Graph, name: &Reference) -> anyhow::Result<()> {
        if let Some(policy) = self.policy()? {
            graph.judge(&policy, &name.name())?;
        }
        Ok(())
    }

    fn policy(&self) -> anyhow::Result<Option<Policy>> {
        let Some(path) = &self.policy else {
            return Ok(None);
        };
        let policy = Policy::read(path);
        Ok(Some(policy.with_context(|| {
            format!("cannot use `{}`", path.display())
        })?))
    }

    /// The same, where the policy is asked afterwards.
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
