//! Modules in images.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use attache_module::harmless;
use attache_package::registry::{Client, Options, Reference, RegistryError};
use attache_package::signing::Policy;

use crate::machine::Setback;
use crate::preflight::told;
use crate::rollout::{LARGEST_MODULE, LARGEST_TEXT, Rollout, SuiteText};

/// How images are fetched, and which.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Images {
    /// Whose signatures an image has to have: a policy, which is read anew for each image. Without one any image
    /// is fetched.
    pub policy: Option<PathBuf>,
    /// The registries that are spoken to without TLS, beside those on this machine.
    pub plain_http: Vec<String>,
    /// Files with certificates beside those of the system, as PEM.
    pub certificates: Vec<PathBuf>,
}

/// A version whose module is there, and the suites that came with it.
pub(crate) type Complete = (Arc<Rollout>, Vec<SuiteText>);

impl Images {
    /// Fetches the module of a version if it is in an image.
    pub(crate) async fn complete(&self, rollout: Arc<Rollout>) -> Result<Complete, Setback> {
        let image = match rollout.module.image() {
            Some(image) if rollout.module.is_to_be_fetched() => image,
            _ => return Ok((rollout, Vec::new())),
        };
        let refused = |error: &dyn std::error::Error| Setback::Refused(told(error));
        let reference: Reference = image.parse().map_err(|error| refused(&error))?;
        let client = Client::new(self.options()?).map_err(|error| refused(&error))?;
        let pulled = client
            .pull(&reference)
            .await
            .map_err(|error| setback(&error))?;
        too_large("its module", &pulled.image.bytes, LARGEST_MODULE)?;
        for (title, content) in pulled.suites() {
            too_large(
                &format!("its suite `{}`", harmless(title)),
                content,
                LARGEST_TEXT,
            )?;
        }
        let suites = pulled.suites().map(|(title, content)| {
            let text = String::from_utf8(content.to_vec());
            let path = PathBuf::from(format!("{image}/{title}"));
            text.map(|text| SuiteText { path, text }).map_err(|_| {
                Setback::Refused(format!("the suite `{title}` of `{image}` is no text"))
            })
        });
        let suites = suites.collect::<Result<Vec<_>, _>>()?;
        let mut complete = Rollout::clone(&rollout);
        let by = pulled.reference.to_string();
        complete.module = rollout.module.fetched(by, pulled.image.bytes);
        Ok((Arc::new(complete), suites))
    }

    fn options(&self) -> Result<Options, Setback> {
        let mut options = Options::default();
        options.plain_http.clone_from(&self.plain_http);
        for path in &self.certificates {
            let pem = fs::read(path).map_err(|error| {
                Setback::Later(format!("cannot read `{}`: {error}", path.display()))
            })?;
            options.certificates.push(pem);
        }
        if let Some(path) = &self.policy {
            let policy = Policy::read(path).map_err(|error| {
                Setback::Later(format!("cannot use `{}`: {}", path.display(), told(&error)))
            })?;
            options.policy = Some(policy);
        }
        Ok(options)
    }
}

fn too_large(what: &str, bytes: &[u8], most: u64) -> Result<(), Setback> {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if length > most {
        let reason = format!("{what} has {length} bytes, at most {most} are taken");
        return Err(Setback::Refused(reason));
    }
    Ok(())
}

fn setback(error: &RegistryError) -> Setback {
    let reason = told(error);
    match error.may_pass() {
        true => Setback::Later(reason),
        false => Setback::Refused(reason),
    }
}
