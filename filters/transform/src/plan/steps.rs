use attache::ConfigError;

use super::{Direction, names};
use crate::config::{Literal, Names, Op, PathChange, Place, StepConfig, To};
use crate::jmespath::{Dialect, Expression};
use crate::json::{Pointer, Value};
use crate::json_patch::Patch;
use crate::path::{Pattern, Substitution};
use crate::template::{MAX_LENGTH, Template};

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// What the next one takes has to be there.
    Require {
        target: Target,
        /// Whether null is something.
        or_null: bool,
    },
    Remove(Target),
    Rename(Target, String),
    Put(How, Target, ValueOf),
    Copy {
        from: Target,
        to: Target,
        moves: bool,
    },
    Path(PathStep),
    Body(BodyStep),
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Header(String),
    Query(String),
    Body(Pointer),
}

/// How a value is put somewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum How {
    Add,
    AddIfAbsent,
    Set,
    Replace,
}

/// What is put somewhere.
#[derive(Clone, Debug)]
pub(crate) enum ValueOf {
    Literal(Value<'static>),
    /// A template that is nothing but an expression.
    Expression(Expression),
    Text(Template),
}

/// How a path changes.
#[derive(Clone, Debug)]
pub(crate) enum PathStep {
    To(Template),
    Pattern(Pattern, Substitution),
    Prefix(String, String),
}

/// How a whole body changes.
#[derive(Clone, Debug)]
pub(crate) enum BodyStep {
    Keep(Vec<Pointer>),
    Patch(Patch),
    Select(Expression),
    Template(Template),
}

impl Step {
    pub(super) fn new(
        config: &StepConfig,
        direction: Direction,
        place: &str,
    ) -> Result<Self, ConfigError> {
        let reader = Reader {
            config,
            direction,
            place,
        };
        reader.check_fields()?;
        match config.op {
            Op::Remove => Ok(Self::Remove(reader.target()?)),
            Op::Rename => reader.rename(),
            Op::Add | Op::Set | Op::Replace => reader.put(),
            Op::Copy | Op::Move => reader.copy(),
            Op::Keep | Op::Patch | Op::Select | Op::Template => reader.body(),
        }
    }

    /// The check that goes before it, where its configuration asks for one.
    pub(super) fn requirement(
        &self,
        config: &StepConfig,
        place: &str,
    ) -> Result<Option<Self>, ConfigError> {
        let (target, or_null) = match self {
            _ if !config.required => return Ok(None),
            Self::Remove(target) | Self::Rename(target, _) | Self::Put(How::Replace, target, _) => {
                (target.clone(), true)
            }
            Self::Copy { from, to, .. } => (from.clone(), matches!(to, Target::Body(_))),
            _ => {
                let place = format!("{place}/required");
                return Err(ConfigError::at(place, "this operation does not take it"));
            }
        };
        Ok(Some(Self::Require { target, or_null }))
    }

    /// Whether it fails where the body is a form.
    pub(crate) fn is_of_json(&self) -> bool {
        matches!(self, Self::Body(step) if !matches!(step, BodyStep::Keep(_)))
    }

    /// Whether it changes what stands before the body.
    pub(crate) fn changes_head(&self) -> bool {
        let is_head = |target: &Target| !matches!(target, Target::Body(_));
        match self {
            Self::Remove(target) | Self::Rename(target, _) | Self::Put(_, target, _) => {
                is_head(target)
            }
            Self::Copy { from, to, moves } => is_head(to) || (*moves && is_head(from)),
            Self::Path(_) => true,
            Self::Require { .. } | Self::Body(_) => false,
        }
    }

    /// Whether it needs the body.
    pub(crate) fn reads_body(&self) -> bool {
        let is_body = |target: &Target| matches!(target, Target::Body(_));
        match self {
            Self::Require { target, .. } | Self::Remove(target) | Self::Rename(target, _) => {
                is_body(target)
            }
            Self::Put(_, target, value) => is_body(target) || value.looks_at_body(),
            Self::Copy { from, to, .. } => is_body(from) || is_body(to),
            Self::Path(PathStep::To(template)) => template.looks_at("body"),
            Self::Path(_) => false,
            Self::Body(_) => true,
        }
    }

    /// Adds the places of the body that it looks at or changes; false where that is not known beforehand.
    pub(super) fn names<'p>(&'p self, pointers: &mut Vec<&'p [String]>) -> bool {
        let mut name = |target: &'p Target| {
            if let Target::Body(pointer) = target {
                pointers.push(pointer.tokens());
            }
        };
        match self {
            Self::Require { target, .. } | Self::Remove(target) | Self::Rename(target, _) => {
                name(target);
                true
            }
            Self::Put(_, target, value) => {
                name(target);
                !value.looks_at_body()
            }
            Self::Copy { from, to, .. } => {
                name(from);
                name(to);
                true
            }
            Self::Path(_) => !self.reads_body(),
            // Of a pattern that is kept, tokens go through arrays.
            Self::Body(_) => false,
        }
    }
}

impl ValueOf {
    fn looks_at_body(&self) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Expression(expression) => expression.looks_at("body"),
            Self::Text(template) => template.looks_at("body"),
        }
    }
}

/// Reads a step's configuration.
struct Reader<'c> {
    config: &'c StepConfig,
    direction: Direction,
    place: &'c str,
}

impl Reader<'_> {
    fn refused(&self, field: &str, reason: impl Into<String>) -> ConfigError {
        let place = match field {
            "" => self.place.to_owned(),
            field => format!("{}/{field}", self.place),
        };
        ConfigError::at(place, reason.into())
    }

    /// Refuses fields that the operation does not know, and more than one target.
    fn check_fields(&self) -> Result<(), ConfigError> {
        let config = self.config;
        let given = [
            ("header", config.header.is_some()),
            ("query", config.query.is_some()),
            ("path", config.path.is_some()),
            ("body", config.body.is_some()),
            ("body_patch", config.body_patch.is_some()),
            ("body_jmespath", config.body_jmespath.is_some()),
            ("value", config.value.is_some()),
            ("if_absent", config.if_absent),
            ("to", config.to.is_some()),
            ("from", config.from.is_some()),
        ];
        let known: &[&str] = match config.op {
            Op::Remove => &["header", "query", "body"],
            Op::Rename => &["header", "query", "body", "to"],
            Op::Add => &["header", "query", "body", "value", "if_absent"],
            Op::Set | Op::Replace => &["header", "query", "body", "path", "value"],
            Op::Keep | Op::Template => &["body"],
            Op::Copy | Op::Move => &["from", "to"],
            Op::Patch => &["body_patch"],
            Op::Select => &["body_jmespath"],
        };
        for (name, is_given) in given {
            if is_given && !known.contains(&name) {
                return Err(self.refused(name, "this operation does not take it"));
            }
        }
        let targets = given.iter().take(6).filter(|(_, is_given)| *is_given);
        if targets.count() > 1 {
            return Err(self.refused("", "a step has one target"));
        }
        Ok(())
    }

    fn pointer(&self, text: &str, field: &str) -> Result<Pointer, ConfigError> {
        Pointer::parse(text).map_err(|malformed| self.refused(field, malformed.to_string()))
    }

    fn one_pointer(&self) -> Result<Pointer, ConfigError> {
        match &self.config.body {
            Some(Names::One(text)) => self.pointer(text, "body"),
            _ => Err(self.refused("body", "expected one JSON Pointer")),
        }
    }

    fn place_of(&self, place: &Place, field: &str, changes: bool) -> Result<Target, ConfigError> {
        let at = |name: &str| match field {
            "" => format!("{}/{name}", self.place),
            field => format!("{}/{field}/{name}", self.place),
        };
        match (&place.header, &place.query, &place.body) {
            (Some(name), None, None) if changes => {
                Ok(Target::Header(names::changeable(name, &at("header"))?))
            }
            (Some(name), None, None) => Ok(Target::Header(names::header(name, &at("header"))?)),
            (None, Some(_), None) if self.direction == Direction::Response => {
                Err(ConfigError::at(at("query"), "a response has no query"))
            }
            (None, Some(name), None) => Ok(Target::Query(names::parameter(name, &at("query"))?)),
            (None, None, Some(text)) => {
                let pointer = Pointer::parse(text);
                let refused =
                    |fault: crate::json::Malformed| ConfigError::at(at("body"), fault.to_string());
                Ok(Target::Body(pointer.map_err(refused)?))
            }
            _ => Err(self.refused(field, "expected one of `header`, `query` and `body`")),
        }
    }

    fn target(&self) -> Result<Target, ConfigError> {
        if self.config.body.is_some() {
            return Ok(Target::Body(self.one_pointer()?));
        }
        let place = Place {
            header: self.config.header.clone(),
            query: self.config.query.clone(),
            body: None,
        };
        self.place_of(&place, "", true)
    }

    fn rename(&self) -> Result<Step, ConfigError> {
        let target = self.target()?;
        let Some(To::Name(name)) = &self.config.to else {
            return Err(self.refused("to", "expected the new name"));
        };
        let place = format!("{}/to", self.place);
        let name = match &target {
            Target::Header(_) => names::changeable(name, &place)?,
            Target::Query(_) => names::parameter(name, &place)?,
            Target::Body(pointer) if pointer.is_root() => {
                return Err(self.refused("body", "the whole body has no name"));
            }
            Target::Body(_) => name.clone(),
        };
        Ok(Step::Rename(target, name))
    }

    fn put(&self) -> Result<Step, ConfigError> {
        if let Some(change) = &self.config.path {
            return self.path(change);
        }
        let target = self.target()?;
        let how = match self.config.op {
            Op::Add if self.config.if_absent => How::AddIfAbsent,
            Op::Add => How::Add,
            Op::Set => How::Set,
            _ => How::Replace,
        };
        let Some(value) = &self.config.value else {
            return Err(self.refused("value", "missing"));
        };
        let value = self.value(value)?;
        if !matches!(target, Target::Body(_))
            && let ValueOf::Literal(literal) = &value
        {
            let is_plain = |text: &str| {
                !text
                    .bytes()
                    .any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f)
            };
            match literal {
                Value::String(text) if !is_plain(&text.decoded()) => {
                    return Err(self.refused("value", "expected a text without control characters"));
                }
                Value::String(_) | Value::Number(_) | Value::Bool(_) => {}
                _ => return Err(self.refused("value", "expected a string, a number or a boolean")),
            }
        }
        Ok(Step::Put(how, target, value))
    }

    fn value(&self, literal: &Literal) -> Result<ValueOf, ConfigError> {
        let value = literal.value();
        let Some(text) = value.as_text() else {
            return Ok(ValueOf::Literal(value.clone()));
        };
        let template = self.template(&text, "value")?;
        Ok(match (template.fixed(), template.single()) {
            (Some(_), _) => ValueOf::Literal(value.clone()),
            (_, Some(expression)) => ValueOf::Expression(expression.clone()),
            _ => ValueOf::Text(template),
        })
    }

    fn template(&self, text: &str, field: &str) -> Result<Template, ConfigError> {
        if text.len() > MAX_LENGTH {
            return Err(self.refused(field, "a template has at most 64 KiB"));
        }
        Template::parse(text).map_err(|reason| self.refused(field, reason))
    }

    fn path(&self, change: &PathChange) -> Result<Step, ConfigError> {
        if self.direction == Direction::Response {
            return Err(self.refused("path", "a response has no path"));
        }
        if self.config.value.is_some() {
            return Err(self.refused("value", "the new path stands under `path`"));
        }
        let is_set = self.config.op == Op::Set;
        Ok(Step::Path(match change {
            PathChange::To(text) if is_set => {
                let template = self.template(text, "path")?;
                let is_plain = |text: &str| {
                    text.bytes()
                        .all(|byte| byte > b' ' && !b"?#\x7f".contains(&byte))
                };
                if !text.starts_with('/') || !template.texts().all(is_plain) {
                    return Err(self.refused(
                        "path",
                        "expected a path that begins with `/` and has no query, fragment or blank",
                    ));
                }
                PathStep::To(template)
            }
            PathChange::Regex(change) if !is_set => {
                let refused =
                    |field: &'static str| move |reason: &'static str| self.refused(field, reason);
                let pattern = Pattern::parse(&change.regex).map_err(refused("path/regex"))?;
                let substitution = Substitution::parse(&change.substitution, &pattern)
                    .map_err(refused("path/substitution"))?;
                PathStep::Pattern(pattern, substitution)
            }
            PathChange::Prefix(change) if !is_set => {
                for (field, text) in [
                    ("prefix", &change.prefix),
                    ("substitution", &change.substitution),
                ] {
                    if !text.starts_with('/') {
                        return Err(
                            self.refused(&format!("path/{field}"), "a path begins with `/`")
                        );
                    }
                }
                PathStep::Prefix(change.prefix.clone(), change.substitution.clone())
            }
            _ => {
                return Err(self.refused(
                    "path",
                    "expected a template with `set`, and with `replace` a `regex` or a `prefix` with \
                     its `substitution`",
                ));
            }
        }))
    }

    fn copy(&self) -> Result<Step, ConfigError> {
        let moves = self.config.op == Op::Move;
        let Some(from) = &self.config.from else {
            return Err(self.refused("from", "missing"));
        };
        let Some(To::Place(to)) = &self.config.to else {
            return Err(self.refused("to", "expected a place: `header`, `query` or `body`"));
        };
        let (from, to) = (
            self.place_of(from, "from", moves)?,
            self.place_of(to, "to", true)?,
        );
        if let (true, Target::Body(from), Target::Body(to)) = (moves, &from, &to)
            && from.is_above(to)
        {
            return Err(self.refused("to", "a value cannot be moved into itself"));
        }
        Ok(Step::Copy { from, to, moves })
    }

    fn body(&self) -> Result<Step, ConfigError> {
        let config = self.config;
        Ok(Step::Body(match config.op {
            Op::Keep => {
                let texts = match &config.body {
                    Some(Names::One(text)) => std::slice::from_ref(text),
                    Some(Names::Several(texts)) => texts,
                    None => return Err(self.refused("body", "missing")),
                };
                if texts.is_empty() {
                    return Err(self.refused("body", "an empty list would keep nothing"));
                }
                let pointers = texts.iter().map(|text| self.pointer(text, "body"));
                BodyStep::Keep(pointers.collect::<Result<_, _>>()?)
            }
            Op::Patch => {
                let Some(patch) = &config.body_patch else {
                    return Err(self.refused("body_patch", "missing"));
                };
                let patch = Patch::new(patch.value()).map_err(|malformed| {
                    self.refused(&format!("body_patch{}", malformed.place), malformed.reason)
                });
                BodyStep::Patch(patch?)
            }
            Op::Select => {
                let Some(text) = &config.body_jmespath else {
                    return Err(self.refused("body_jmespath", "missing"));
                };
                let expression = Expression::parse(text, Dialect::Standard);
                BodyStep::Select(
                    expression.map_err(|fault| self.refused("body_jmespath", fault.to_string()))?,
                )
            }
            _ => {
                let Some(Names::One(text)) = &config.body else {
                    return Err(self.refused("body", "expected a template"));
                };
                BodyStep::Template(self.template(text, "body")?)
            }
        }))
    }
}
