//! A message without its body, apart from any host.

use std::borrow::Cow;

pub use self::fields::Fields;

mod fields;

/// What is known of a request, or of a response, before its body.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "tests and fuzzing make messages of it"
)]
pub struct Head {
    /// `:method` of a request.
    pub method: Vec<u8>,
    /// `:scheme` of a request.
    pub scheme: Vec<u8>,
    /// `:authority` of a request.
    pub authority: Vec<u8>,
    /// `:path` of a request, with its query.
    pub path: Vec<u8>,
    /// `:status` of a response.
    pub status: Option<u16>,
    /// Names, in lower case, and values in order.
    pub headers: Fields,
}

impl Head {
    /// Every value of a header.
    pub fn values<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let named = self.headers.iter();
        let named = named.filter(move |(found, _)| *found == name.as_bytes());
        named.map(|(_, value)| value)
    }

    /// Whether there is a header of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The values of a header as one, as they may be sent in one line (RFC 9110, 5.3).
    #[must_use]
    pub fn joined<'h>(&'h self, name: &'h str) -> Option<Cow<'h, [u8]>> {
        let mut values = self.values(name);
        let first = values.next()?;
        let rest: Vec<&[u8]> = values.collect();
        if rest.is_empty() {
            return Some(Cow::Borrowed(first));
        }
        let mut joined = first.to_vec();
        for value in rest {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        Some(Cow::Owned(joined))
    }

    /// Takes out every header of this name.
    pub fn remove(&mut self, name: &str) {
        self.headers.remove(name.as_bytes());
    }

    /// Adds a header behind all others.
    pub fn append(&mut self, name: &str, value: &[u8]) {
        self.headers.push(name.as_bytes(), value);
    }

    /// Makes `value` the only one of its name.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    /// The path up to its `?`, and the query behind that.
    #[must_use]
    pub fn path_and_query(&self) -> (&[u8], Option<&[u8]>) {
        match self.path.iter().position(|&byte| byte == b'?') {
            Some(at) => (&self.path[..at], Some(&self.path[at + 1..])),
            None => (&self.path, None),
        }
    }

    /// Sets the path and leaves the query.
    pub fn set_path(&mut self, path: &[u8]) {
        let mut whole = path.to_vec();
        if let (_, Some(query)) = self.path_and_query() {
            whole.push(b'?');
            whole.extend_from_slice(query);
        }
        self.path = whole;
    }

    /// Sets the query and leaves the path; of an empty one, no `?` is left.
    pub fn set_query(&mut self, query: &[u8]) {
        let (path, _) = self.path_and_query();
        let mut whole = path.to_vec();
        if !query.is_empty() {
            whole.push(b'?');
            whole.extend_from_slice(query);
        }
        self.path = whole;
    }

    /// The names whose values differ between two messages, each once, in the order of the fields that
    /// differ.
    pub fn differing<'h>(&'h self, other: &'h Self) -> Vec<&'h [u8]> {
        if self.headers.shares(&other.headers) {
            return Vec::new();
        }
        // Most are as they were, in front and behind of what has changed, and add the same to both.
        let (left, right): (Vec<_>, Vec<_>) = (
            self.headers.iter().collect(),
            other.headers.iter().collect(),
        );
        let (left, right) = between(&left, &right);
        let (of_left, of_right) = (by_name(left), by_name(right));
        let differs = |name: &[u8]| values(&of_left, name) != values(&of_right, name);
        let mut names: Vec<&[u8]> = Vec::new();
        let mut seen = vec![false; of_left.len() + of_right.len()];
        for &(name, _) in left.iter().chain(right) {
            let place = match first(&of_left, name) {
                place if of_left.get(place).is_some_and(|&(found, _)| found == name) => place,
                _ => of_left.len() + first(&of_right, name),
            };
            let Some(seen) = seen.get_mut(place).filter(|seen| !**seen) else {
                continue;
            };
            *seen = true;
            if differs(name) {
                names.push(name);
            }
        }
        names
    }
}

type Field<'h> = (&'h [u8], &'h [u8]);

/// What is left of two lists without what both begin with, and without what both end with.
fn between<'s, 'h>(
    mut left: &'s [Field<'h>],
    mut right: &'s [Field<'h>],
) -> (&'s [Field<'h>], &'s [Field<'h>]) {
    while let ([first, behind @ ..], [other, others @ ..]) = (left, right)
        && is_same(first, other)
    {
        (left, right) = (behind, others);
    }
    while let ([before @ .., last], [others @ .., other]) = (left, right)
        && is_same(last, other)
    {
        (left, right) = (before, others);
    }
    (left, right)
}

/// Whether they say the same. What two messages share is not looked into.
fn is_same(left: &Field<'_>, right: &Field<'_>) -> bool {
    let is_shared = std::ptr::eq(left.0, right.0) && std::ptr::eq(left.1, right.1);
    is_shared || left == right
}

/// By their names, the values of each in their order.
fn by_name<'h>(fields: &[Field<'h>]) -> Vec<Field<'h>> {
    let mut sorted = fields.to_vec();
    sorted.sort_by_key(|(name, _)| *name);
    sorted
}

/// Where a name begins, or would.
fn first(sorted: &[Field<'_>], name: &[u8]) -> usize {
    sorted.partition_point(|&(found, _)| found < name)
}

/// The fields of a name.
fn values<'s, 'h>(sorted: &'s [Field<'h>], name: &[u8]) -> &'s [Field<'h>] {
    let from = sorted.get(first(sorted, name)..).unwrap_or_default();
    let count = from.partition_point(|&(found, _)| found == name);
    from.get(..count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(path: &str, headers: &[(&str, &str)]) -> Head {
        let headers = headers.iter();
        Head {
            path: path.into(),
            headers: headers.copied().collect(),
            ..Head::default()
        }
    }

    #[test]
    fn path_and_query_change_apart() {
        let mut head = head("/a?b?c", &[]);
        head.set_path(b"/x");
        assert_eq!(head.path, b"/x?b?c");
        head.set_query(b"d");
        assert_eq!(head.path, b"/x?d");
        head.set_query(b"");
        assert_eq!(head.path, b"/x");
        head.set_path(b"/");
        assert_eq!(head.path, b"/");
    }

    #[test]
    fn values_of_one_name_are_one_in_order() {
        let head = head("/", &[("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(head.joined("a").as_deref(), Some(&b"1, 3"[..]));
        assert_eq!(head.joined("b").as_deref(), Some(&b"2"[..]));
        assert_eq!(head.joined("c"), None);
    }

    #[test]
    fn only_what_differs_is_named() {
        let one = head("/", &[("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")]);
        let mut other = one.clone();
        assert!(one.differing(&other).is_empty());
        other.set("a", b"1");
        other.remove("c");
        other.append("d", b"5");
        assert_eq!(one.differing(&other), [&b"a"[..], b"c", b"d"]);
    }

    #[test]
    fn what_differs_is_what_each_name_alone_says() {
        // All messages of up to four fields of two names and two values.
        let field = |number: usize| [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")][number % 4];
        let made = |number: usize| {
            let places = [1, 4, 16, 64].into_iter().take(number / 256);
            let fields: Vec<_> = places.map(|place| field(number % 256 / place)).collect();
            head("/", &fields)
        };
        for number in (0..5 * 256).step_by(3) {
            let (one, other) = (made(number), made((number * 7 + 11) % (5 * 256)));
            let mut names: Vec<&[u8]> = Vec::new();
            for (name, _) in one.headers.iter().chain(other.headers.iter()) {
                let text = std::str::from_utf8(name).unwrap();
                if !names.contains(&name) && !one.values(text).eq(other.values(text)) {
                    names.push(name);
                }
            }
            names.sort_unstable();
            let mut differing = one.differing(&other);
            differing.sort_unstable();
            assert_eq!(differing, names, "{number}");
        }
    }
}
