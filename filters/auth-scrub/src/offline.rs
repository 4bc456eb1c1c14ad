//! The decisions of the filter without a host, for tests that ask for very many of them.

use attache::{ConfigError, Headers};

use crate::condition::Facts;
use crate::config::Config;
use crate::hasher;
use crate::rules::{Kind, Plan, Rules};
use crate::scrub::Scrub;

/// What a configuration makes of messages.
///
/// ```
/// use attache::Headers;
/// use auth_scrub::{Config, Offline, Part, Target};
///
/// let filter = Offline::new(&Config::from_json(b"{}")?)?;
/// let target = Target { path: b"/orders?token=s&a=1", ..Target::default() };
/// assert_eq!(filter.path(&target).as_deref(), Some(&b"/orders?a=1"[..]));
///
/// let mut headers: Headers = [("authorization", "Bearer s"), ("accept", "*/*")].into_iter().collect();
/// assert_eq!(filter.scrub(&target, Part::Request, &mut headers), "headers");
/// assert_eq!(headers.iter().count(), 1);
/// # Ok::<(), attache::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Offline {
    rules: Rules,
    enforce: bool,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever asks says all that rules look at"
)]
pub struct Target<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The host asked for.
    pub authority: &'a [u8],
    /// The path with its query.
    pub path: &'a [u8],
    /// The cluster that Envoy has chosen, if it has.
    pub cluster: Option<&'a [u8]>,
}

/// What headers belong to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "HTTP has no others")]
pub enum Part {
    /// They are those of a request.
    Request,
    /// They are its trailers.
    RequestTrailers,
    /// They are those of a response.
    Response,
    /// They are its trailers.
    ResponseTrailers,
}

impl Offline {
    /// Checks a configuration. The environment has no variables.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a configuration that the filter refuses.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let config = config.place()?;
        let hash = config.get("hash");
        let hash = hash.map(|hash| hasher(&hash, |_| Ok(None))).transpose()?;
        Ok(Self {
            rules: Rules::new(&config, hash)?,
            enforce: config.text_of("mode") != Some("report_only"),
        })
    }

    /// The path with its query as it goes on; `None` where it stays as it is.
    #[must_use]
    pub fn path(&self, target: &Target<'_>) -> Option<Vec<u8>> {
        let plan = self.plan(target);
        let path = Scrub::new(&self.rules, &plan, self.enforce).path(target.path);
        path.filter(|_| self.enforce)
    }

    /// Changes headers or trailers, and says which kinds of changes there are, with commas between them.
    pub fn scrub(&self, target: &Target<'_>, part: Part, headers: &mut Headers) -> String {
        let plan = self.plan(target);
        let mut scrub = Scrub::new(&self.rules, &plan, self.enforce);
        match part {
            Part::Request => scrub.request(headers),
            Part::RequestTrailers => scrub.trailers(Kind::Header, headers),
            Part::Response => scrub.response(headers),
            Part::ResponseTrailers => scrub.trailers(Kind::ResponseHeader, headers),
        }
        scrub.changes().words()
    }

    fn plan(&self, target: &Target<'_>) -> Plan {
        let cluster = target.cluster.map(<[u8]>::to_vec);
        let facts = Facts::new(target.method, target.authority, target.path, cluster);
        self.rules.plan(Some(&facts))
    }
}
