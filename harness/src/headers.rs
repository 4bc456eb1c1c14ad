//! Header maps with the rules of Envoy's `HeaderMapImpl`.

use std::fmt;

use crate::inline_headers::is_inline;

/// Which rules a map follows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `host` is `:authority`; the request's pseudo headers are single.
    #[default]
    Request,
    /// `:status` is single.
    Response,
    /// Nothing is special.
    Trailers,
}

/// The headers or trailers of a message, in the order in which Envoy holds them.
///
/// Names are lower case. Values are bytes: Envoy forwards what is no UTF-8, and so does this map.
///
/// ```
/// use attache_harness::Request;
///
/// let request = Request::get("/").header("X-Tag", "one").header("x-tag", &b"\xff"[..]);
/// let tags: Vec<&[u8]> = request.headers().get_all("X-TAG").collect();
/// assert_eq!(tags, [&b"one"[..], b"\xff"]);
/// ```
#[derive(Default)]
pub struct Headers {
    kind: Kind,
    /// Names and values, each name with its value behind it; a stream copies maps several times,
    /// and so a copy is two allocations. What was replaced stays until the map goes.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// A bit for each length, modulo 32, that a name in here has or had, and others for pseudo headers: most
    /// names that are looked for are not there, and this tells.
    lengths: u64,
    /// Whether a name in here has, or had, what names hardly ever have: something other than letters, digits and `-`
    /// behind a first colon. Told when it comes, since maps are copied and looked at more often than filled.
    odd_names: bool,
}

/// Smaller maps are not worth the while.
const COMPACTED_FROM: usize = 64 << 10;

/// Room in a copy for what is added on the way.
const MORE_BYTES: usize = 160;
const MORE_ENTRIES: usize = 4;

#[derive(Clone, Copy)]
struct Entry {
    name: usize,
    value: usize,
    end: usize,
}

fn length_bit(name: &[u8]) -> u64 {
    let pseudo = u64::from(name.starts_with(b":"));
    1 << (name.len() % 32) << (32 * pseudo)
}

impl Entry {
    /// Most names differ in length from the one that is looked for, and most that are looked for are
    /// in lower case, as all are in here.
    #[inline(always)]
    fn is(self, name: &[u8], bytes: &[u8]) -> bool {
        if self.value - self.name != name.len() {
            return false;
        }
        let own = &bytes[self.name..self.value];
        // Names of one length mostly differ in their last letter: `:method` and `:scheme`.
        let (Some(last), Some(wanted)) = (own.last(), name.last()) else {
            return true;
        };
        if !last.eq_ignore_ascii_case(wanted) {
            return false;
        }
        own == name || own.eq_ignore_ascii_case(name)
    }
}

impl Headers {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            bytes: Vec::with_capacity(256),
            entries: Vec::with_capacity(8),
            lengths: 0,
            odd_names: false,
        }
    }

    /// A map of names that are lower case, each there once, the pseudo headers first.
    pub(crate) fn of(kind: Kind, pairs: &[(&[u8], &[u8])]) -> Self {
        let mut headers = Self::new(kind);
        for (name, value) in pairs {
            let entry = headers.store_lower(name, value);
            headers.entries.push(entry);
        }
        headers
    }

    /// Whether no byte of a value could be refused: there is no control character. False may be
    /// due to what was replaced.
    pub(crate) fn are_free_of_controls(&self) -> bool {
        let control = |byte: &u8| byte.is_ascii_control();
        // Without an early end, which would keep it from looking at many bytes at a time.
        !self
            .bytes
            .iter()
            .fold(false, |found, byte| found | control(byte))
    }

    /// Whether each name is a token, and has no colon but the first letter of a pseudo header. False may be due to
    /// what was replaced.
    pub(crate) fn are_plainly_named(&self) -> bool {
        !self.odd_names
    }

    /// A map that stays empty.
    pub(crate) const fn empty() -> Self {
        Self {
            kind: Kind::Trailers,
            bytes: Vec::new(),
            entries: Vec::new(),
            lengths: 0,
            odd_names: false,
        }
    }

    /// The first value of `name`, in any case. `host` and `:authority` are one in a request.
    #[must_use]
    #[inline(always)]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = self.name(name.as_ref());
        self.position(name)
            .map(|at| self.value_of(self.entries[at]))
    }

    /// Every value of `name`, in order.
    pub fn get_all(&self, name: impl AsRef<[u8]>) -> impl Iterator<Item = &[u8]> {
        let name = self.name(name.as_ref()).to_ascii_lowercase();
        self.iter()
            .filter(move |(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// How many values `name` has.
    pub(crate) fn count(&self, name: &[u8]) -> usize {
        let name = self.name(name);
        let same = |key: &[u8]| key.eq_ignore_ascii_case(name);
        self.iter().filter(|(key, _)| same(key)).count()
    }

    /// Whether `name` is there, be it with an empty value.
    #[must_use]
    #[inline(always)]
    pub fn contains_key(&self, name: impl AsRef<[u8]>) -> bool {
        self.get(name).is_some()
    }

    /// All names and values; pseudo headers come first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.entries
            .iter()
            .map(|entry| (self.name_of(*entry), self.value_of(*entry)))
    }

    /// How many entries there are; a repeated name counts each time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of all names and values, as `proxy_get_header_map_size` counts them.
    pub(crate) fn byte_size(&self) -> usize {
        self.entries
            .iter()
            .map(|entry| entry.end - entry.name)
            .sum()
    }

    /// Adds an entry: at the end of its group, or after a comma where a pseudo header, or one that
    /// Envoy holds once, is there already.
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        let name = self.name(name);
        if let Some(at) = self.position(name)
            && self.is_single(&name.to_ascii_lowercase())
        {
            // Nothing is appended without a comma, nor to nothing with one.
            let joined = match (self.value_of(self.entries[at]), value) {
                (_, b"") => return,
                (b"", value) => value.to_vec(),
                (own, value) => [own, value].join(&b","[..]),
            };
            self.entries[at] = self.store(name, &joined);
            self.compact();
            return;
        }
        let at = if name.starts_with(b":") {
            self.pseudo_count()
        } else {
            self.entries.len()
        };
        let entry = self.store(name, value);
        self.entries.insert(at, entry);
        self.compact();
    }

    /// The same for a name that Envoy gives itself, other than a pseudo header.
    pub(crate) fn add_own(&mut self, name: &'static [u8], value: &[u8]) {
        if self.position(name).is_some() {
            return self.add(name, value);
        }
        let entry = self.store_lower(name, value);
        self.entries.push(entry);
    }

    /// Whether a value that is added is joined to one that is there.
    pub(crate) fn joins(&self, name: &[u8]) -> bool {
        let name = self.name(name);
        self.position(name).is_some() && self.is_single(&name.to_ascii_lowercase())
    }

    /// Adds an entry at the end, whatever is there.
    pub(crate) fn add_line(&mut self, name: &[u8], value: &[u8]) {
        let entry = self.store(name, value);
        self.entries.push(entry);
    }

    /// Keeps the entries of some names.
    pub(crate) fn retain(&mut self, kept: impl Fn(&[u8]) -> bool) {
        let bytes = &self.bytes;
        self.entries
            .retain(|entry| kept(&bytes[entry.name..entry.value]));
    }

    /// Removes every value of `name` and adds one, so that the name moves to the end of its group.
    pub(crate) fn replace(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.add(name, value);
    }

    /// Gives the first entry of `name` another value and leaves it at its place, or adds one.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        match self.position(self.name(name)) {
            Some(at) => self.entries[at] = self.store(self.name(name), value),
            None => self.add(name, value),
        }
    }

    /// The same for a name that Envoy gives itself, other than a pseudo header.
    pub(crate) fn set_own(&mut self, name: &'static [u8], value: &[u8]) {
        let at = self.position(name);
        let entry = self.store_lower(name, value);
        match at {
            Some(at) => self.entries[at] = entry,
            None => self.entries.push(entry),
        }
    }

    /// Takes blanks around values away.
    pub(crate) fn trim(&mut self) {
        for at in 0..self.entries.len() {
            let entry = self.entries[at];
            let value = self.value_of(entry);
            let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
            if !blank(value.first()) && !blank(value.last()) {
                continue;
            }
            let trimmed = trim_blanks(value);
            if trimmed.len() < value.len() {
                let (name, value) = (
                    self.bytes[entry.name..entry.value].to_vec(),
                    trimmed.to_vec(),
                );
                self.entries[at] = self.store(&name, &value);
            }
        }
    }

    /// Inlined up to where there is something to do: mostly there is nothing.
    #[inline(always)]
    pub(crate) fn remove(&mut self, name: &[u8]) {
        let name = self.name(name);
        if self.lengths & length_bit(name) != 0 {
            self.take_out(name);
        }
    }

    #[inline(never)]
    fn take_out(&mut self, name: &[u8]) {
        let bytes = &self.bytes;
        self.entries.retain(|entry| !entry.is(name, bytes));
    }

    /// Replaces everything by `pairs`, added in order.
    pub(crate) fn replace_all(&mut self, pairs: &[(Vec<u8>, Vec<u8>)]) {
        self.entries.clear();
        self.bytes.clear();
        for (name, value) in pairs {
            self.add(name, value);
        }
    }

    /// Written out and always inlined: most names are known where this is called, and with them most of it is done.
    #[inline(always)]
    fn position(&self, name: &[u8]) -> Option<usize> {
        if self.lengths & length_bit(name) == 0 {
            return None;
        }
        let mut at = 0;
        while let Some(entry) = self.entries.get(at) {
            if entry.is(name, &self.bytes) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    fn name_of(&self, entry: Entry) -> &[u8] {
        &self.bytes[entry.name..entry.value]
    }

    fn value_of(&self, entry: Entry) -> &[u8] {
        &self.bytes[entry.value..entry.end]
    }

    /// Drops what was replaced, once it is more than what is there.
    fn compact(&mut self) {
        if self.bytes.len() < COMPACTED_FROM || self.bytes.len() < 2 * self.byte_size() {
            return;
        }
        let mut bytes = Vec::with_capacity(self.byte_size());
        for entry in &mut self.entries {
            let start = bytes.len();
            bytes.extend_from_slice(&self.bytes[entry.name..entry.end]);
            *entry = Entry {
                name: start,
                value: start + (entry.value - entry.name),
                end: bytes.len(),
            };
        }
        self.bytes = bytes;
    }

    fn store(&mut self, name: &[u8], value: &[u8]) -> Entry {
        let entry = self.store_lower(name, value);
        if is_odd(name) {
            let name = &mut self.bytes[entry.name..entry.value];
            name.make_ascii_lowercase();
            self.odd_names |= is_odd(name);
        }
        entry
    }

    fn store_lower(&mut self, name: &[u8], value: &[u8]) -> Entry {
        let start = self.bytes.len();
        self.lengths |= length_bit(name);
        self.bytes.reserve(name.len() + value.len());
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        Entry {
            name: start,
            value: start + name.len(),
            end: self.bytes.len(),
        }
    }

    fn pseudo_count(&self) -> usize {
        self.iter()
            .take_while(|(name, _)| name.starts_with(b":"))
            .count()
    }

    fn name<'a>(&self, name: &'a [u8]) -> &'a [u8] {
        if self.kind == Kind::Request && name.eq_ignore_ascii_case(b"host") {
            b":authority"
        } else {
            name
        }
    }

    fn is_single(&self, name: &[u8]) -> bool {
        match self.kind {
            _ if !name.starts_with(b":") => is_inline(self.kind, name),
            Kind::Request => {
                matches!(
                    name,
                    b":authority" | b":method" | b":path" | b":protocol" | b":scheme"
                )
            }
            Kind::Response => name == b":status",
            Kind::Trailers => false,
        }
    }
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.len() + MORE_BYTES);
        bytes.extend_from_slice(&self.bytes);
        let mut entries = Vec::with_capacity(self.entries.len() + MORE_ENTRIES);
        entries.extend_from_slice(&self.entries);
        Self {
            kind: self.kind,
            bytes,
            entries,
            lengths: self.lengths,
            odd_names: self.odd_names,
        }
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |bytes: &[u8]| bytes.escape_ascii().to_string();
        f.debug_list()
            .entries(
                self.iter()
                    .map(|(name, value)| (escaped(name), escaped(value))),
            )
            .finish()
    }
}

/// Whether a name has more than small letters, digits and `-` behind the colon of a pseudo header. By a table, since names
/// are too short for more than one byte at a time to pay; without an early end, since hardly any name has one.
fn is_odd(name: &[u8]) -> bool {
    const ODD: [bool; 256] = {
        let mut odd = [true; 256];
        let plain = b"-0123456789abcdefghijklmnopqrstuvwxyz";
        let mut at = 0;
        while at < plain.len() {
            odd[plain[at] as usize] = false;
            at += 1;
        }
        odd
    };
    let rest = name.strip_prefix(b":").unwrap_or(name);
    rest.iter()
        .fold(false, |odd, byte| odd | ODD[usize::from(*byte)])
}

/// A value without the blanks that are no part of it ([RFC 9110, 5.5]).
///
/// [RFC 9110, 5.5]: https://www.rfc-editor.org/rfc/rfc9110#section-5.5
fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(headers: &Headers) -> Vec<String> {
        headers
            .iter()
            .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()))
            .collect()
    }

    fn request() -> Headers {
        let mut headers = Headers::new(Kind::Request);
        for (name, value) in [
            (":authority", "a"),
            (":path", "/"),
            (":method", "GET"),
            ("X-Multi", "1"),
        ] {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        headers
    }

    #[test]
    fn added_pseudo_headers_join_and_ordinary_ones_stay_apart() {
        let mut headers = request();
        headers.add(b":path", b"/dup");
        headers.add(b"Host", b"b");
        headers.add(b"x-multi", b"2");
        assert_eq!(
            pairs(&headers),
            [
                ":authority=a,b",
                ":path=/,/dup",
                ":method=GET",
                "x-multi=1",
                "x-multi=2"
            ]
        );
    }

    #[test]
    fn a_header_that_envoy_holds_once_joins_by_its_kind_of_map() {
        for (kind, name, joined) in [
            (Kind::Request, "Authorization", true),
            (Kind::Response, "authorization", false),
            (Kind::Response, "Location", true),
            (Kind::Request, "location", false),
            (Kind::Trailers, "grpc-status", true),
            (Kind::Request, "cookie", false),
            (Kind::Response, "set-cookie", false),
        ] {
            let mut headers = Headers::new(kind);
            headers.add(name.as_bytes(), b"1");
            headers.add(name.as_bytes(), b"2");
            let expected: &[&[u8]] = if joined { &[b"1,2"] } else { &[b"1", b"2"] };
            assert_eq!(
                headers.get_all(name).collect::<Vec<_>>(),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_replaced_pseudo_header_moves_to_the_end_of_its_group() {
        let mut headers = request();
        headers.replace(b"host", b"b");
        assert_eq!(
            pairs(&headers),
            [":path=/", ":method=GET", ":authority=b", "x-multi=1"]
        );
    }

    #[test]
    fn replace_drops_every_old_value() {
        let mut headers = request();
        headers.add(b"x-multi", b"2");
        headers.replace(b"X-MULTI", b"3");
        assert_eq!(headers.get_all("x-multi").collect::<Vec<_>>(), [b"3"]);
    }

    #[test]
    fn a_name_is_found_whatever_its_length() {
        let mut headers = Headers::default();
        for length in 0..200 {
            let name = vec![b'n'; length];
            assert!(!headers.contains_key(&name), "{length}");
            headers.add(&name, b"v");
            assert!(headers.clone().contains_key(&name), "{length}");
        }
        headers.remove(&[b'N'; 70]);
        assert!(!headers.contains_key([b'n'; 70]) && headers.contains_key([b'n'; 6]));
    }

    #[test]
    fn an_unknown_pseudo_header_is_kept_in_the_group_and_not_joined() {
        let mut headers = request();
        headers.add(b":foo", b"1");
        headers.add(b":foo", b"2");
        assert_eq!(pairs(&headers)[3..], [":foo=1", ":foo=2", "x-multi=1"]);
    }
}
