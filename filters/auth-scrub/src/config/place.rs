use attache::matching;
use attache::{ConfigError, Document};

use super::{Kind, Shape};

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    value: &'a Document,
    /// A JSON Pointer (RFC 6901).
    pointer: String,
}

impl<'a> Place<'a> {
    pub(super) fn root(value: &'a Document) -> Self {
        Self {
            value,
            pointer: String::new(),
        }
    }

    fn below(&self, key: &str, value: &'a Document) -> Self {
        let mut pointer = self.pointer.clone();
        pointer.push('/');
        for letter in key.chars() {
            match letter {
                '~' => pointer.push_str("~0"),
                '/' => pointer.push_str("~1"),
                other => pointer.push(other),
            }
        }
        Self { value, pointer }
    }

    /// A fault here.
    pub(crate) fn fault(&self, reason: &str) -> ConfigError {
        ConfigError::at(&*self.pointer, reason)
    }

    /// A fault at a member, be it there or not.
    pub(crate) fn fault_at(&self, key: &str, reason: &str) -> ConfigError {
        self.below(key, self.value).fault(reason)
    }

    /// A fault here, after which names are told.
    fn fault_with(&self, reason: &str, names: &[&str]) -> ConfigError {
        self.fault(&String::from_iter([reason, &one_of(names)]))
    }

    fn expected(&self, what: &str) -> ConfigError {
        self.fault(&String::from_iter([
            "expected ",
            what,
            ", found ",
            self.value.kind(),
        ]))
    }

    // What was checked to be of its shape.

    /// The member of this name; `null` is none.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        let Document::Object(members) = self.value else {
            return None;
        };
        let (_, value) = members.iter().find(|(own, _)| own == key)?;
        match value {
            Document::Null => None,
            value => Some(self.below(key, value)),
        }
    }

    /// The elements of the list of this name.
    pub(crate) fn list(&self, key: &str) -> Vec<Self> {
        let Some(list) = self.get(key) else {
            return Vec::new();
        };
        let Document::List(values) = list.value else {
            return Vec::new();
        };
        let element = |(index, value): (usize, &'a Document)| list.below(&index.to_string(), value);
        values.iter().enumerate().map(element).collect()
    }

    /// The members, with their keys.
    pub(crate) fn members(&self) -> Vec<(&'a str, Self)> {
        let Document::Object(members) = self.value else {
            return Vec::new();
        };
        let member = |(key, value): &'a (String, Document)| (&**key, self.below(key, value));
        members.iter().map(member).collect()
    }

    /// This text; empty where it is none.
    pub(crate) fn text(&self) -> &'a str {
        match self.value {
            Document::Text(text) => text.expose(),
            _ => "",
        }
    }

    /// The text of a member.
    pub(crate) fn text_of(&self, key: &str) -> Option<&'a str> {
        self.get(key).map(|member| member.text())
    }

    /// A flag.
    pub(crate) fn flag(&self, key: &str, otherwise: bool) -> bool {
        match self.get(key).map(|member| member.value) {
            Some(Document::Bool(value)) => *value,
            _ => otherwise,
        }
    }

    /// A number; one that is too large for this machine is the largest.
    pub(crate) fn number(&self, key: &str) -> Option<usize> {
        match self.get(key)?.value {
            Document::Unsigned(value) => Some(usize::try_from(*value).unwrap_or(usize::MAX)),
            _ => None,
        }
    }

    // The check.

    /// Refuses what is not of its shape. `null` is as good as nothing.
    pub(super) fn check(&self, kind: &Kind) -> Result<(), ConfigError> {
        match (kind, self.value) {
            (Kind::Flag, Document::Bool(_))
            | (Kind::Number, Document::Unsigned(_))
            | (Kind::Text | Kind::Name | Kind::Regex, Document::Text(_)) => Ok(()),
            (Kind::Word(words), Document::Text(word)) => {
                match words.contains(&word.expose().as_str()) {
                    true => Ok(()),
                    false => Err(self.fault_with("expected ", words)),
                }
            }
            (Kind::Object(shape), Document::Object(_)) => self.check_object(shape),
            (Kind::Name, Document::Object(_)) => self.check_one_text(&["exact", "prefix"]),
            (Kind::Regex, Document::Object(_)) => self.check_one_text(&["regex"]),
            (Kind::Map, Document::Object(_)) => self.each(&Kind::Text),
            (Kind::Objects(shape), Document::List(_)) => self.each(&Kind::Object(shape)),
            (Kind::Texts, Document::List(_)) => self.each(&Kind::Text),
            (Kind::Patterns, Document::List(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.below(&index.to_string(), value).check_pattern()?;
                }
                Ok(())
            }
            (kind, _) => Err(self.expected(match kind {
                Kind::Flag => "a boolean",
                Kind::Number => "a number that is whole and not below zero",
                Kind::Objects(_) | Kind::Texts | Kind::Patterns => "an array",
                Kind::Object(_) | Kind::Map => "an object",
                Kind::Text | Kind::Word(_) => "a string",
                Kind::Name | Kind::Regex => "a string or an object",
            })),
        }
    }

    /// Refuses an object or list whose parts are not of a kind.
    fn each(&self, kind: &Kind) -> Result<(), ConfigError> {
        match self.value {
            Document::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.below(&index.to_string(), value).check(kind)?;
                }
            }
            Document::Object(members) => {
                for (key, value) in members {
                    self.below(key, value).check(kind)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check_object(&self, shape: &Shape) -> Result<(), ConfigError> {
        for (key, member) in self.members() {
            let field = shape.fields.iter().find(|field| field.name == key);
            let Some(field) = field else {
                let names: Vec<&str> = shape.fields.iter().map(|field| field.name).collect();
                return Err(member.fault_with("unknown field, expected ", &names));
            };
            if !matches!(member.value, Document::Null) {
                member.check(&field.kind)?;
            }
        }
        for field in shape.fields {
            if field.required && self.get(field.name).is_none() {
                return Err(self.fault_at(field.name, "missing"));
            }
        }
        Ok(())
    }

    /// An object of one text under one of these names.
    fn check_one_text(&self, names: &[&str]) -> Result<(), ConfigError> {
        self.each(&Kind::Text)?;
        match self.members()[..] {
            [(key, _)] if names.contains(&key) => Ok(()),
            _ => Err(self.fault_with("expected ", names)),
        }
    }

    fn check_pattern(&self) -> Result<(), ConfigError> {
        if matches!(self.value, Document::Text(_)) {
            return Ok(());
        }
        if !matches!(self.value, Document::Object(_)) {
            return Err(self.expected("a string or an object"));
        }
        let mut kinds = 0;
        for (key, member) in self.members() {
            member.check(match key {
                "ignore_case" => &Kind::Flag,
                "safe_regex" => &Kind::Regex,
                key if matching::Kind::named(key).is_some() => &Kind::Text,
                _ => return Err(member.fault("unknown kind of match")),
            })?;
            kinds += usize::from(key != "ignore_case");
        }
        match kinds {
            1 => Ok(()),
            _ => Err(self.fault_with("expected ", &matching::Kind::NAMES)),
        }
    }
}

/// Names in backticks, one of which was expected.
fn one_of(names: &[&str]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        text.push_str(match (index, names.len()) {
            (0, 1) => "`",
            (0, _) => "one of `",
            _ => "`, `",
        });
        text.push_str(name);
    }
    text.push('`');
    text
}
