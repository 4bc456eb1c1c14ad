use std::collections::BTreeMap;

use attache::ConfigError;
use attache::matching::Kind;

use super::{Direction, names};
use crate::config::{Condition, MatchConfig};
use crate::content::Content;
use crate::failure::Failure;
use crate::fuel::Fuel;
use crate::head::Head;
use crate::json::Pointer;
use crate::pairs::Pairs;

/// What a condition may be about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum About {
    /// A path.
    Path,
    /// Something that is always there.
    Text,
    /// Something that may be missing.
    Field,
}

/// When a rule applies.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    methods: Vec<Vec<u8>>,
    authority: Vec<Condition>,
    path: Vec<Condition>,
    query: Vec<(String, Vec<Condition>)>,
    headers: Vec<(String, Vec<Condition>)>,
    request_headers: Vec<(String, Vec<Condition>)>,
    status: Vec<(u16, u16)>,
    body: Vec<(Pointer, Vec<Condition>)>,
}

impl Conditions {
    pub(super) fn new(
        config: &MatchConfig,
        direction: Direction,
        place: &str,
    ) -> Result<Self, ConfigError> {
        if direction == Direction::Request {
            let of_responses = "this is for rules of responses";
            if !config.status.is_empty() {
                return Err(ConfigError::at(format!("{place}/status"), of_responses));
            }
            if !config.request_headers.is_empty() {
                let place = format!("{place}/request_headers");
                return Err(ConfigError::at(place, of_responses));
            }
        }
        let mut methods = Vec::new();
        for (index, method) in config.methods.iter().enumerate() {
            methods.push(names::method(method, &format!("{place}/methods/{index}"))?);
        }
        let mut status = Vec::new();
        for (index, text) in config.status.iter().enumerate() {
            let range = statuses(text).ok_or_else(|| {
                let place = format!("{place}/status/{index}");
                ConfigError::at(place, "expected a status such as `404`, `4xx` or `500-504`")
            })?;
            status.push(range);
        }
        let mut body = Vec::new();
        for (text, values) in &config.body {
            let place = format!("{place}/body/{}", escaped(text));
            let pointer = Pointer::parse(text)
                .map_err(|malformed| ConfigError::at(&*place, malformed.to_string()))?;
            body.push((pointer, list(values, About::Field, &place)?));
        }
        let headers = |config, name: &str| -> Result<_, ConfigError> {
            fields(config, names::header, &format!("{place}/{name}"))
        };
        Ok(Self {
            methods,
            authority: list(
                &config.authority,
                About::Text,
                &format!("{place}/authority"),
            )?,
            path: list(&config.path, About::Path, &format!("{place}/path"))?,
            query: fields(&config.query, names::parameter, &format!("{place}/query"))?,
            headers: headers(&config.headers, "headers")?,
            request_headers: headers(&config.request_headers, "request_headers")?,
            status,
            body,
        })
    }

    pub(crate) fn ask_of_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// What of the body they ask for.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.body.iter().map(|(pointer, _)| pointer)
    }

    /// Whether all hold that do not look at the body.
    pub(super) fn hold_of_head(&self, head: &Head, request: &Head) -> bool {
        let (path, query) = request.path_and_query();
        let in_range = |status: u16| {
            let mut ranges = self.status.iter();
            ranges.any(|(first, last)| (*first..=*last).contains(&status))
        };
        (self.methods.is_empty() || self.methods.contains(&request.method))
            && any_holds(&self.authority, &[&request.authority])
            && any_holds(&self.path, &[path])
            && (self.status.is_empty() || head.status.is_some_and(in_range))
            && headers_hold(&self.headers, head)
            && headers_hold(&self.request_headers, request)
            && (self.query.is_empty() || {
                let pairs = Pairs::parse(query.unwrap_or_default());
                self.query.iter().all(|(name, conditions)| {
                    any_holds(conditions, &pairs.values(name).collect::<Vec<_>>())
                })
            })
    }

    /// Whether all hold that look at the body; none do where it is not known.
    pub(crate) fn hold_of_body(
        &self,
        content: Option<&Content<'_>>,
        limit: usize,
        fuel: &Fuel,
    ) -> Result<bool, Failure> {
        for (pointer, conditions) in &self.body {
            let Some(content) = content else {
                return Ok(false);
            };
            let values: Vec<Vec<u8>> = content.text(pointer, limit, fuel)?.into_iter().collect();
            fuel.spend(values.iter().map(|value| value.len() / 8).sum())?;
            if !any_holds(conditions, &values) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn headers_hold(fields: &[(String, Vec<Condition>)], head: &Head) -> bool {
    fields
        .iter()
        .all(|(name, conditions)| any_holds(conditions, &head.values(name).collect::<Vec<_>>()))
}

fn list(configs: &[Condition], about: About, place: &str) -> Result<Vec<Condition>, ConfigError> {
    for (index, config) in configs.iter().enumerate() {
        let (field, reason) = match config.kind() {
            Some(Kind::PathTemplate) if about != About::Path => {
                ("path_template", "only a path has a template")
            }
            None if about != About::Field => ("present_match", "this is always there"),
            _ => continue,
        };
        let place = format!("{place}/{index}/{field}");
        return Err(ConfigError::at(place, reason));
    }
    Ok(configs.to_vec())
}

/// Whether one of them holds, or there is none.
fn any_holds<V: AsRef<[u8]>>(conditions: &[Condition], values: &[V]) -> bool {
    conditions.is_empty() || conditions.iter().any(|condition| condition.holds(values))
}

fn fields(
    configs: &BTreeMap<String, Vec<Condition>>,
    name_of: fn(&str, &str) -> Result<String, ConfigError>,
    place: &str,
) -> Result<Vec<(String, Vec<Condition>)>, ConfigError> {
    let mut fields = Vec::new();
    for (name, values) in configs {
        let place = format!("{place}/{}", escaped(name));
        if values.is_empty() {
            return Err(ConfigError::at(place, "expected a condition"));
        }
        fields.push((name_of(name, &place)?, list(values, About::Field, &place)?));
    }
    Ok(fields)
}

/// A key as part of a JSON Pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// `404`, `4xx` and `500-504` as a range.
fn statuses(text: &str) -> Option<(u16, u16)> {
    let status = |text: &str| {
        let status = text.parse().ok()?;
        (text.len() == 3 && (100..=999).contains(&status)).then_some(status)
    };
    if let Some((first, last)) = text.split_once('-') {
        let range = (status(first)?, status(last)?);
        return (range.0 <= range.1).then_some(range);
    }
    match text.strip_suffix("xx") {
        Some(class) => {
            let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class))?;
            Some((class * 100, class * 100 + 99))
        }
        None => Some((status(text)?, status(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_one_or_a_range() {
        assert_eq!(statuses("404"), Some((404, 404)));
        assert_eq!(statuses("4xx"), Some((400, 499)));
        assert_eq!(statuses("500-504"), Some((500, 504)));
        for text in [
            "", "xx", "0xx", "40x", "4xxx", "99", "1000", "504-500", "200-", "+04",
        ] {
            assert_eq!(statuses(text), None, "{text}");
        }
    }
}
