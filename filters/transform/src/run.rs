//! Steps at work on a message.

use std::borrow::Cow;

use crate::content::{Content, pairs_value, text_of};
use crate::failure::Failure;
use crate::fuel::Fuel;
use crate::head::Head;
use crate::json::{self, Document, Value};
use crate::pairs::Pairs;
use crate::path;
use crate::plan::{BodyStep, How, PathStep, Step, Target, ValueOf};
use crate::template::{Put, Template};

/// How long a header's value, a parameter or a path may become.
const MAX_TEXT: usize = 64 * 1024;

/// A message on which steps work.
pub(crate) struct Message<'m, 'a> {
    pub(crate) head: &'m mut Head,
    /// In a response, the request that it answers.
    pub(crate) request: Option<&'m Head>,
    /// Where it is known.
    pub(crate) content: Option<&'m mut Content<'a>>,
    /// How large the body may become.
    pub(crate) limit: usize,
    pub(crate) fuel: &'m Fuel,
}

impl<'a> Message<'_, 'a> {
    /// Takes one step. What is missing is no fault: there is nothing to do then.
    pub(crate) fn take(&mut self, step: &Step) -> Result<(), Failure> {
        self.fuel.spend(8)?;
        match step {
            Step::Require { target, or_null } => match self.has(target, *or_null) {
                true => Ok(()),
                false => Err(Failure::Missing),
            },
            Step::Remove(target) => self.remove(target),
            Step::Rename(target, name) => self.rename(target, name),
            Step::Put(how, target, value) => self.put(*how, target, value),
            Step::Copy { from, to, moves } => self.copy(from, to, *moves),
            Step::Path(step) => self.path(step),
            Step::Body(step) => self.body(step),
        }
    }

    fn has(&self, target: &Target, or_null: bool) -> bool {
        match target {
            Target::Header(name) => self.head.has(name),
            Target::Query(name) => {
                let (_, query) = self.head.path_and_query();
                Pairs::parse(query.unwrap_or_default()).has(name)
            }
            Target::Body(pointer) => match &self.content {
                Some(Content::Json(document)) => json::get(&document.value, pointer)
                    .is_some_and(|found| or_null || !matches!(found, Value::Null)),
                Some(Content::Form(pairs)) => match pointer.tokens() {
                    [name] => pairs.has(name),
                    _ => false,
                },
                None => false,
            },
        }
    }

    fn remove(&mut self, target: &Target) -> Result<(), Failure> {
        match target {
            Target::Header(name) => self.head.remove(name),
            Target::Query(name) => {
                self.query(|pairs| {
                    pairs.remove(name);
                });
            }
            Target::Body(pointer) => match &mut self.content {
                Some(Content::Json(document)) => {
                    json::remove(&mut document.value, pointer, self.fuel)?;
                }
                Some(Content::Form(pairs)) => {
                    if let [name] = pointer.tokens() {
                        pairs.remove(name);
                    }
                }
                None => {}
            },
        }
        Ok(())
    }

    fn rename(&mut self, target: &Target, to: &str) -> Result<(), Failure> {
        match target {
            Target::Header(name) => {
                if name != to && self.head.has(name) {
                    self.head.remove(to);
                    self.head.headers.rename(name.as_bytes(), to.as_bytes());
                }
            }
            Target::Query(name) => self.query(|pairs| {
                pairs.rename(name, to);
            }),
            Target::Body(pointer) => match &mut self.content {
                Some(Content::Json(document)) => {
                    json::rename(&mut document.value, pointer, to, self.fuel)?;
                }
                Some(Content::Form(pairs)) => {
                    if let [name] = pointer.tokens() {
                        pairs.rename(name, to);
                    }
                }
                None => {}
            },
        }
        Ok(())
    }

    fn put(&mut self, how: How, target: &Target, value: &ValueOf) -> Result<(), Failure> {
        if matches!(target, Target::Body(_)) && self.content.is_none() {
            return Ok(());
        }
        if let (Target::Body(_), Some(Content::Json(_))) = (target, &self.content) {
            let Some(value) = self.value(value)? else {
                return Ok(());
            };
            return self.put_value(how, target, value);
        }
        let Some(text) = self.text(value)? else {
            return Ok(());
        };
        self.put_text(how, target, &text)
    }

    /// Into the body.
    fn put_value(&mut self, how: How, target: &Target, value: Value<'a>) -> Result<(), Failure> {
        let (Target::Body(pointer), Some(Content::Json(document))) = (target, &mut self.content)
        else {
            return Ok(());
        };
        let root = &mut document.value;
        match how {
            How::AddIfAbsent if json::get(root, pointer).is_some() => 0,
            How::Add | How::AddIfAbsent => json::add(root, pointer, &value, self.fuel)?,
            How::Set => json::set(root, pointer, &value, self.fuel)?,
            How::Replace => json::replace(root, pointer, &value, self.fuel)?,
        };
        Ok(())
    }

    /// Into a header, a parameter, or a form.
    fn put_text(&mut self, how: How, target: &Target, text: &[u8]) -> Result<(), Failure> {
        let put = |pairs: &mut Pairs<'_>, name: &str| match how {
            How::AddIfAbsent if pairs.has(name) => {}
            How::Add | How::AddIfAbsent => pairs.append(name, text),
            How::Set => {
                if !pairs.replace(name, text) {
                    pairs.append(name, text);
                }
            }
            How::Replace => {
                pairs.replace(name, text);
            }
        };
        match target {
            Target::Header(name) => {
                let is_control = |&byte: &u8| byte < b' ' && byte != b'\t' || byte == 0x7f;
                if text.iter().any(is_control) {
                    return Err(Failure::HeaderValue);
                }
                let is_there = self.head.has(name);
                match how {
                    How::Add => self.head.append(name, text),
                    How::AddIfAbsent if is_there => {}
                    How::Replace if !is_there => {}
                    _ => self.head.set(name, text),
                }
            }
            Target::Query(name) => self.query(|pairs| put(pairs, name)),
            Target::Body(pointer) => {
                if let (Some(Content::Form(pairs)), [name]) = (&mut self.content, pointer.tokens())
                {
                    put(pairs, name);
                }
            }
        }
        Ok(())
    }

    fn copy(&mut self, from: &Target, to: &Target, moves: bool) -> Result<(), Failure> {
        let is_json = matches!(self.content, Some(Content::Json(_)));
        if let (true, Target::Body(from), Target::Body(to)) = (is_json, from, to)
            && from == to
        {
            return Ok(());
        }
        let found = match from {
            Target::Body(pointer) if is_json => match &self.content {
                Some(Content::Json(document)) => json::get(&document.value, pointer).cloned(),
                _ => None,
            },
            other => self
                .text_at(other)?
                .map(|text| Value::string(&String::from_utf8_lossy(&text))),
        };
        // Null says that there is nothing, wherever it cannot say itself.
        let found = match (found, to) {
            (None, _) | (Some(Value::Null), Target::Header(_) | Target::Query(_)) => return Ok(()),
            (Some(found), _) => found,
        };
        // Bytes of headers and queries stay what they are, also where they are no text.
        let text = match from {
            Target::Body(_) => text_of(&found, self.limit, self.fuel)?,
            other => self.text_at(other)?.unwrap_or_default(),
        };
        if moves {
            self.remove(from)?;
        }
        match to {
            Target::Body(_) if is_json => self.put_value(How::Set, to, found),
            _ => self.put_text(How::Set, to, &text),
        }
    }

    /// What stands at a place, as text.
    fn text_at(&self, target: &Target) -> Result<Option<Vec<u8>>, Failure> {
        Ok(match target {
            Target::Header(name) => self.head.joined(name).map(Cow::into_owned),
            Target::Query(name) => {
                let (_, query) = self.head.path_and_query();
                let pairs = Pairs::parse(query.unwrap_or_default());
                pairs.values(name).next_back().map(Cow::into_owned)
            }
            Target::Body(pointer) => match &self.content {
                Some(content) => content.text(pointer, self.limit, self.fuel)?,
                None => None,
            },
        })
    }

    fn query(&mut self, change: impl FnOnce(&mut Pairs<'_>)) {
        let (path, query) = self.head.path_and_query();
        // `*` and the authority of CONNECT are no paths.
        if path.first() != Some(&b'/') {
            return;
        }
        let mut pairs = Pairs::parse(query.unwrap_or_default());
        change(&mut pairs);
        if let Some(query) = pairs.changed() {
            self.head.set_query(&query);
        }
    }

    fn path(&mut self, step: &PathStep) -> Result<(), Failure> {
        let (former, _) = self.head.path_and_query();
        if former.first() != Some(&b'/') {
            return Ok(());
        }
        let former = former.to_vec();
        let path = match step {
            PathStep::To(template) => match self.rendered(template, Put::Segment)? {
                Some(path) => path.into_bytes(),
                None => return Ok(()),
            },
            PathStep::Pattern(pattern, substitution) => {
                self.fuel.spend(former.len())?;
                substitution.replace(&former, pattern)
            }
            PathStep::Prefix(prefix, substitution) => {
                let Some(rest) = former.strip_prefix(prefix.as_bytes()) else {
                    return Ok(());
                };
                if !(rest.is_empty() || rest.starts_with(b"/") || prefix.ends_with('/')) {
                    return Ok(());
                }
                let rest = rest.strip_prefix(b"/").unwrap_or(rest);
                let start = substitution.strip_suffix('/').unwrap_or(substitution);
                let has_slash = !rest.is_empty() || former.ends_with(b"/") || start.is_empty();
                let slash: &[u8] = if has_slash { b"/" } else { b"" };
                [start.as_bytes(), slash, rest].concat()
            }
        };
        if path != former {
            path::check(&path, &former)?;
            if path.len() > MAX_TEXT {
                return Err(Failure::Path);
            }
            self.head.set_path(&path);
        }
        Ok(())
    }

    fn body(&mut self, step: &BodyStep) -> Result<(), Failure> {
        let context = match step {
            BodyStep::Template(template) => self.context(&|name| template.looks_at(name)),
            _ => Value::Null,
        };
        match (&mut self.content, step) {
            (None, _) => Ok(()),
            (Some(Content::Form(pairs)), BodyStep::Keep(pointers)) => {
                let names = pointers
                    .iter()
                    .filter_map(|pointer| match pointer.tokens() {
                        [name] => Some(name.as_str()),
                        _ => None,
                    });
                pairs.keep(&names.collect::<Vec<_>>());
                Ok(())
            }
            (Some(Content::Form(_)), _) => Err(Failure::Kind),
            (Some(Content::Json(document)), BodyStep::Keep(pointers)) => {
                json::keep(&mut document.value, pointers, self.fuel).map(|_| ())
            }
            (Some(Content::Json(document)), BodyStep::Patch(patch)) => {
                patch.apply(&mut document.value, self.fuel)
            }
            (Some(Content::Json(document)), BodyStep::Select(expression)) => {
                document.value = expression.search(&document.value, self.fuel)?;
                Ok(())
            }
            (Some(Content::Json(document)), BodyStep::Template(template)) => {
                let text = template.render_json(&context, self.limit, self.fuel)?;
                self.fuel.spend(text.len() / 4)?;
                let made: Document<'_> = json::parse(&text).map_err(|_| Failure::Template)?;
                document.value = json::owned(&made.value);
                Ok(())
            }
        }
    }

    /// The value to be put into a body of JSON; `None` where there is none.
    fn value(&self, value: &ValueOf) -> Result<Option<Value<'a>>, Failure> {
        Ok(match value {
            ValueOf::Literal(value) => Some(value.clone()),
            ValueOf::Expression(expression) => {
                let context = self.context(&|name| expression.looks_at(name));
                match expression.search(&context, self.fuel)? {
                    Value::Null => None,
                    found => Some(found),
                }
            }
            ValueOf::Text(template) => {
                let text = self.rendered(template, Put::Plain)?;
                text.map(|text| Value::string(&text))
            }
        })
    }

    /// The text to be put elsewhere; `None` where there is none.
    fn text(&self, value: &ValueOf) -> Result<Option<Vec<u8>>, Failure> {
        match value {
            ValueOf::Text(template) => {
                let text = self.rendered(template, Put::Plain)?;
                Ok(text.map(String::into_bytes))
            }
            other => match self.value(other)? {
                Some(value) => Ok(Some(text_of(&value, MAX_TEXT, self.fuel)?)),
                None => Ok(None),
            },
        }
    }

    fn rendered(&self, template: &Template, put: Put) -> Result<Option<String>, Failure> {
        let context = self.context(&|name| template.looks_at(name));
        template.render(&context, put, MAX_TEXT, self.fuel)
    }

    /// What expressions see, as far as `wanted` says that they look.
    fn context(&self, wanted: &dyn Fn(&str) -> bool) -> Value<'a> {
        let mut members = head_members(self.head, wanted);
        if wanted("status")
            && let Some(status) = self.head.status
        {
            members.push(("status", Value::number(&status.to_string())));
        }
        if wanted("request")
            && let Some(request) = self.request
        {
            members.push(("request", Value::named(head_members(request, &|_| true))));
        }
        if wanted("body")
            && let Some(content) = &self.content
        {
            members.push(("body", content.value()));
        }
        Value::named(members)
    }
}

/// What expressions see of a head.
fn head_members<'a>(head: &Head, wanted: &dyn Fn(&str) -> bool) -> Vec<(&'static str, Value<'a>)> {
    let text = |bytes: &[u8]| Value::string(&String::from_utf8_lossy(bytes));
    let (path, query) = head.path_and_query();
    let mut members = Vec::new();
    for (name, value) in [
        ("method", &*head.method),
        ("scheme", &head.scheme),
        ("authority", &head.authority),
        ("path", path),
    ] {
        // A response has none of these.
        if wanted(name) && head.status.is_none() {
            members.push((name, text(value)));
        }
    }
    if wanted("query") && head.status.is_none() {
        let pairs = Pairs::parse(query.unwrap_or_default());
        members.push(("query", pairs_value(&pairs)));
    }
    if wanted("headers") {
        let mut names: Vec<&[u8]> = head.headers.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        let headers = names.into_iter().filter_map(|name| {
            let name = std::str::from_utf8(name).ok()?;
            Some((name, text(&head.joined(name)?)))
        });
        members.push(("headers", Value::named(headers)));
    }
    members
}
