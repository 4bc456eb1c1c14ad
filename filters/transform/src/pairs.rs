//! Names and values between `&`: a query, or the body of a form. What is not changed keeps its bytes.

use std::borrow::Cow;

use crate::escape::{decode, percent};

/// Parts in order, each as it came.
#[derive(Clone, Debug, Default)]
pub struct Pairs<'a> {
    parts: Vec<Cow<'a, [u8]>>,
    is_changed: bool,
}

impl<'a> Pairs<'a> {
    /// Of a query without its `?`, or of a form's body.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Self {
        let parts = match bytes {
            [] => Vec::new(),
            bytes => bytes
                .split(|&byte| byte == b'&')
                .map(Cow::Borrowed)
                .collect(),
        };
        Self {
            parts,
            is_changed: false,
        }
    }

    /// The bytes, where they are others than came.
    #[must_use]
    pub fn changed(&self) -> Option<Vec<u8>> {
        self.is_changed.then(|| self.parts.join(&b'&'))
    }

    /// Every name and value, decoded.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        let parts = self.parts.iter().filter(|part| !part.is_empty());
        parts.map(|part| {
            let (name, value) = split(part);
            (decode(name), decode(value.unwrap_or_default()))
        })
    }

    /// The values of `name`, decoded.
    pub fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = Cow<'_, [u8]>> {
        let named = self
            .iter()
            .filter(move |(found, _)| **found == *name.as_bytes());
        named.map(|(_, value)| value)
    }

    /// Whether `name` is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Takes out every pair of this name; whether there were some.
    pub fn remove(&mut self, name: &str) -> bool {
        let count = self.parts.len();
        self.parts.retain(|part| !is_named(part, name));
        let has_changed = self.parts.len() < count;
        self.is_changed |= has_changed;
        has_changed
    }

    /// Adds a pair at the end.
    pub fn append(&mut self, name: &str, value: &[u8]) {
        self.is_changed = true;
        self.parts.push(Cow::Owned(pair(name, value)));
    }

    /// Gives the first pair of this name another value, and takes out the others; whether there was one.
    pub fn replace(&mut self, name: &str, value: &[u8]) -> bool {
        let Some(at) = self.parts.iter().position(|part| is_named(part, name)) else {
            return false;
        };
        let mut index = 0;
        self.parts.retain(|part| {
            let is_kept = index <= at || !is_named(part, name);
            index += 1;
            is_kept
        });
        if let Some(part) = self.parts.get_mut(at) {
            let (spelt, _) = split(part);
            let mut made = spelt.to_vec();
            made.push(b'=');
            made.extend_from_slice(percent(value).as_bytes());
            *part = Cow::Owned(made);
        }
        self.is_changed = true;
        true
    }

    /// Gives the pairs of this name another one, and takes out those that had it; whether there were
    /// some.
    pub fn rename(&mut self, name: &str, to: &str) -> bool {
        if name == to || !self.parts.iter().any(|part| is_named(part, name)) {
            return false;
        }
        self.remove(to);
        for part in &mut self.parts {
            if is_named(part, name) {
                let (_, value) = split(part);
                let mut made = percent(to.as_bytes()).into_bytes();
                if let Some(value) = value {
                    made.push(b'=');
                    made.extend_from_slice(value);
                }
                *part = Cow::Owned(made);
            }
        }
        self.is_changed = true;
        true
    }

    /// Takes out every pair of another name.
    pub fn keep(&mut self, names: &[&str]) {
        let count = self.parts.len();
        self.parts
            .retain(|part| names.iter().any(|name| is_named(part, name)));
        self.is_changed |= self.parts.len() < count;
    }
}

fn split(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    match part.iter().position(|&byte| byte == b'=') {
        Some(at) => (&part[..at], Some(&part[at + 1..])),
        None => (part, None),
    }
}

fn is_named(part: &[u8], name: &str) -> bool {
    !part.is_empty() && *decode(split(part).0) == *name.as_bytes()
}

fn pair(name: &str, value: &[u8]) -> Vec<u8> {
    format!("{}={}", percent(name.as_bytes()), percent(value)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(query: &str, edit: impl FnOnce(&mut Pairs<'_>)) -> String {
        let mut pairs = Pairs::parse(query.as_bytes());
        edit(&mut pairs);
        let bytes = pairs.changed().unwrap_or_else(|| query.into());
        String::from_utf8(bytes).expect("the test's queries are text")
    }

    #[test]
    fn what_is_not_named_keeps_its_bytes() {
        let query = "a&a=&&%2B=+&x=%zz&b=1=2&=&a%5B%5D=ü";
        assert_eq!(edited(query, |pairs| _ = pairs.remove("c")), query);
        assert_eq!(
            edited(query, |pairs| _ = pairs.remove("b")),
            "a&a=&&%2B=+&x=%zz&=&a%5B%5D=ü"
        );
        assert_eq!(
            edited(query, |pairs| pairs.append("n w", b"1&2")),
            format!("{query}&n%20w=1%262")
        );
    }

    #[test]
    fn names_are_compared_decoded() {
        for query in ["token=1", "%74oken=1", "token", "token=&%74oken"] {
            assert_eq!(edited(query, |pairs| _ = pairs.remove("token")), "");
        }
        assert_eq!(edited("a+b=1", |pairs| _ = pairs.remove("a b")), "");
        assert_eq!(
            edited("Token=1", |pairs| _ = pairs.remove("token")),
            "Token=1"
        );
    }

    #[test]
    fn the_first_of_several_is_replaced_and_the_others_go() {
        let replaced = |query| edited(query, |pairs| _ = pairs.replace("a", b"n w"));
        assert_eq!(replaced("x=1&%61=1&y&a&a=3"), "x=1&%61=n%20w&y");
        assert_eq!(replaced("x=1"), "x=1");
    }

    #[test]
    fn a_renamed_pair_keeps_its_value() {
        let renamed = |query| edited(query, |pairs| _ = pairs.rename("a", "b c"));
        assert_eq!(renamed("x&a=%2b&b%20c=0&a"), "x&b%20c=%2b&b%20c");
        assert_eq!(renamed("b+c=0"), "b+c=0");
    }

    #[test]
    fn what_is_kept_is_named() {
        assert_eq!(
            edited("a=1&b=2&&c&%61=3", |pairs| pairs.keep(&["a"])),
            "a=1&%61=3"
        );
    }
}
