//! A configuration, checked and made ready.

use attache::{ConfigError, FailureMode};

use crate::coding::Coding;
use crate::config::{
    BodyConfig, CodingName, Config, Kind, Otherwise, Recompress, RuleConfig, RunMode, SideConfig,
};
use crate::head::Head;
use crate::json::Pointer;

mod conditions;
mod names;
mod steps;

use self::conditions::Conditions;
pub(crate) use self::steps::{BodyStep, How, PathStep, Step, Target, ValueOf};

/// What is done with requests and responses.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) mode: RunMode,
    pub(crate) failure_mode: FailureMode,
    /// What is done with requests.
    pub request: Side,
    /// What is done with responses.
    pub response: Side,
}

/// What is done in one direction.
#[derive(Clone, Debug)]
pub struct Side {
    rules: Vec<Rule>,
    pub(crate) body: Bodies,
}

/// Conditions and steps.
#[derive(Clone, Debug)]
pub struct Rule {
    conditions: Conditions,
    pub(crate) steps: Vec<Step>,
}

/// How bodies are handled.
#[derive(Clone, Debug)]
pub(crate) struct Bodies {
    pub(crate) hold_headers: bool,
    pub(crate) limit: usize,
    pub(crate) on_too_large: Otherwise,
    pub(crate) on_parse_error: Otherwise,
    pub(crate) on_unsupported: Otherwise,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) read: Vec<Coding>,
    pub(crate) recompress: Recompress,
}

/// Which way a side looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// How large bodies may be at most: memory that a module has taken stays with it.
const MAX_BYTES: u32 = 16 << 20;

impl Plan {
    /// Checks a configuration.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] with the place of what cannot be.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        if config.request.rules.is_empty() && config.response.rules.is_empty() {
            return Err(ConfigError::at(
                "",
                "neither `request` nor `response` has rules, so nothing would change",
            ));
        }
        Ok(Self {
            mode: config.mode,
            failure_mode: config.failure_mode,
            request: Side::new(&config.request, Direction::Request, "/request")?,
            response: Side::new(&config.response, Direction::Response, "/response")?,
        })
    }
}

impl Side {
    fn new(config: &SideConfig, direction: Direction, place: &str) -> Result<Self, ConfigError> {
        let body = Bodies::new(&config.body, direction, &format!("{place}/body"))?;
        let mut rules = Vec::with_capacity(config.rules.len());
        for (index, rule) in config.rules.iter().enumerate() {
            let place = format!("{place}/rules/{index}");
            rules.push(Rule::new(rule, direction, &body, &place)?);
        }
        Ok(Self { rules, body })
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules that apply as far as heads tell.
    #[must_use]
    pub fn select<'s>(&'s self, head: &Head, request: &Head) -> Vec<&'s Rule> {
        let rules = self.rules.iter();
        rules
            .filter(|rule| rule.conditions.hold_of_head(head, request))
            .collect()
    }
}

impl Rule {
    fn new(
        config: &RuleConfig,
        direction: Direction,
        body: &Bodies,
        place: &str,
    ) -> Result<Self, ConfigError> {
        let conditions = Conditions::new(&config.conditions, direction, &format!("{place}/match"))?;
        if config.steps.is_empty() {
            let place = format!("{place}/steps");
            return Err(ConfigError::at(
                place,
                "a rule without steps changes nothing",
            ));
        }
        let mut steps = Vec::with_capacity(config.steps.len());
        for (index, step) in config.steps.iter().enumerate() {
            let place = format!("{place}/steps/{index}");
            let (config, step) = (step, Step::new(step, direction, &place)?);
            let requirement = step.requirement(config, &place)?;
            let waits = step.changes_head() && (step.reads_body() || conditions.ask_of_body());
            if waits && !body.hold_headers {
                return Err(ConfigError::at(
                    place,
                    "what stands before the body changes by what is in it: that needs \
                     `hold_headers: true` under `body` here, and `allow_on_headers_stop_iteration: \
                     true` in the plugin's configuration",
                ));
            }
            if step.is_of_json() && !body.kinds.contains(&Kind::Json) {
                return Err(ConfigError::at(
                    place,
                    "this is for JSON, which `types` under `body` does not name",
                ));
            }
            steps.extend(requirement);
            steps.push(step);
        }
        Ok(Self { conditions, steps })
    }

    /// Whether it has to see the body.
    pub(crate) fn wants_body(&self) -> bool {
        self.conditions.ask_of_body() || self.steps.iter().any(|step| step.reads_body())
    }

    /// Adds the places of the body that it looks at or changes; false where that is not known beforehand.
    pub(crate) fn names<'p>(&'p self, pointers: &mut Vec<&'p [String]>) -> bool {
        pointers.extend(self.conditions.pointers().map(Pointer::tokens));
        self.steps.iter().all(|step| step.names(pointers))
    }

    pub(crate) fn conditions(&self) -> &Conditions {
        &self.conditions
    }
}

impl Bodies {
    fn new(config: &BodyConfig, direction: Direction, place: &str) -> Result<Self, ConfigError> {
        if config.max_bytes == 0 || config.max_bytes > MAX_BYTES {
            return Err(ConfigError::at(
                format!("{place}/max_bytes"),
                "expected a number from 1 to 16777216",
            ));
        }
        if config.types.is_empty() {
            return Err(ConfigError::at(
                format!("{place}/types"),
                "without a type nothing is looked into; expected `json`, `form` or both",
            ));
        }
        let unless = match direction {
            Direction::Request => Otherwise::Reject,
            Direction::Response => Otherwise::Pass,
        };
        let read = config.content_encoding.iter().map(|name| match name {
            CodingName::Gzip => Coding::Gzip,
            CodingName::Br => Coding::Brotli,
            CodingName::Zstd => Coding::Zstd,
        });
        let bodies = Self {
            hold_headers: config.hold_headers,
            limit: usize::try_from(config.max_bytes).unwrap_or(usize::MAX),
            on_too_large: config.on_too_large.unwrap_or(unless),
            on_parse_error: config.on_parse_error,
            on_unsupported: config.on_unsupported,
            kinds: config.types.clone(),
            read: read.collect(),
            recompress: config.recompress,
        };
        if direction == Direction::Response && !bodies.hold_headers {
            let rejects = [
                ("on_too_large", bodies.on_too_large),
                ("on_parse_error", bodies.on_parse_error),
            ];
            for (name, otherwise) in rejects {
                if otherwise == Otherwise::Reject {
                    return Err(ConfigError::at(
                        format!("{place}/{name}"),
                        "a response whose headers have gone on cannot be refused: that needs \
                         `hold_headers: true`",
                    ));
                }
            }
        }
        Ok(bodies)
    }
}
