use std::cell::{Cell, OnceCell};
use std::fmt;

use http::HeaderValue;
use http::header::HOST;

use crate::content_type::ContentType;
use crate::error::Error;
use crate::host::{self, Map};
use crate::status::HostError;
use crate::tasks;

use self::list::{AUTHORITY, List, Write};
pub use self::name::FieldName;
pub(crate) use self::name::is_token;
pub use self::value::FieldValue;
use self::writes::Writes;

mod list;
pub(crate) mod name;
pub(crate) mod value;
mod writes;

/// How many values have to be set for a look at the headers to cost less. A host may overwrite only the first of
/// several values, so what is not known is removed before it is added: a call more for each. To read all costs less
/// than two, with what the module has to do for it.
const READING_PAYS: usize = 3;

/// What reads a map.
type Reader = fn(Map) -> Result<Vec<u8>, HostError>;

thread_local! {
    static READER: Cell<Reader> = const { Cell::new(host::header_pairs) };
    static FORGET: Cell<fn()> = const { Cell::new(|| ()) };
}

/// Has all maps read by `reader` from here on, which keeps what it has read until `forget` is called: when a
/// map is written, and at a stream's end. A module that never calls out lacks what call-outs put here.
pub(crate) fn read_by(reader: Reader, forget: fn()) {
    READER.set(reader);
    FORGET.set(forget);
}

/// What was read is no longer what the host has, or nobody's.
pub(crate) fn forget() {
    FORGET.get()();
}

/// The headers of a request or a response, as bytes.
///
/// Nothing is read before it is asked for, and then all at once: one host call, however many
/// headers a filter looks at. Changes stay here until the request or response goes on; then only
/// what differs is written, so a filter that returns without [`Next`](crate::Next) has changed
/// nothing. Where several values are set and nothing was read, it is then that the headers are: it saves more calls
/// than it costs. Names and values that the `http` crate refuses still match and can be removed.
///
/// Pseudo headers are not in it, nor found by their names; see [`Request::path`](crate::Request::path) and its neighbours.
/// `host` is the name of `:authority`, as in Envoy.
///
/// When the host cannot be asked, the headers look empty, and passing the request or response on
/// fails with the [`Error`] that says so.
///
/// ```
/// # use attache::prelude::*;
/// # async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
/// let headers = request.headers_mut();
/// headers.remove("x-internal");
/// headers.insert(VIA, "proxy");
/// headers.retain(|name, _| !name.starts_with(b"x-debug-"));
/// let tokens = request.headers().all(AUTHORIZATION).len();
/// log::info!("{tokens} tokens");
/// next.forward(request)
/// # }
/// ```
pub struct Headers {
    map: Map,
    stream: u32,
    /// What was changed before the first reading.
    early: Cell<Writes>,
    /// Behind a pointer: headers that nobody reads are moved about with every request.
    list: OnceCell<Box<List>>,
}

/// The stream of headers that no host map stands behind: contexts count from 1.
const NOBODY: u32 = 0;

/// What becomes of a header; see [`Headers::rewrite`].
///
/// ```
/// use attache::Fate;
///
/// /// What is not for the upstream. A decision of its own needs no host to be tested.
/// fn scrub(name: &[u8], _value: &[u8]) -> Fate {
///     match name.starts_with(b"x-internal-") {
///         true => Fate::Goes,
///         false => Fate::Stays,
///     }
/// }
///
/// assert_eq!(scrub(b"x-internal-user", b"ada"), Fate::Goes);
/// ```
#[derive(Clone, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is nothing else to do with one"
)]
pub enum Fate {
    /// It stays as it is.
    Stays,
    /// It goes.
    Goes,
    /// It has another value.
    Becomes(HeaderValue),
}

/// Without the value, which may be a secret.
impl fmt::Debug for Fate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stays => "Stays",
            Self::Goes => "Goes",
            Self::Becomes(_) => "Becomes(..)",
        })
    }
}

impl Headers {
    pub(crate) fn new(map: Map, stream: u32) -> Self {
        Self {
            map,
            stream,
            early: Cell::default(),
            list: OnceCell::new(),
        }
    }

    /// A map that is not there yet: nothing to read, and what is added makes it.
    pub(crate) fn absent(map: Map, stream: u32) -> Self {
        Self {
            list: OnceCell::from(Box::default()),
            ..Self::new(map, stream)
        }
    }

    /// Headers that no host map stands behind.
    pub(crate) fn detached() -> Self {
        Self::new(Map::ResponseHeaders, NOBODY)
    }

    /// Headers that were read already, and that no host map stands behind.
    pub(crate) fn read_only(block: Vec<u8>) -> Option<Self> {
        Some(Self {
            list: OnceCell::from(Box::new(List::parse(block)?)),
            ..Self::detached()
        })
    }

    /// Every value of `name`, in order. A decision on credentials looks at all of them: a client
    /// may repeat a header, and upstreams differ in which one they read.
    ///
    /// Envoy holds some headers once, `authorization` and `via` among them, and joins what a client
    /// or a filter repeats by a comma: one value may then be several.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// Whether the client sent a credential, and no wrong one beside it.
    /// fn authorized(request: &Request, key: &Secret) -> bool {
    ///     let credentials = request.headers().all("x-api-key");
    ///     !credentials.is_empty() && credentials.iter().all(|credential| key.matches(credential))
    /// }
    /// ```
    #[must_use]
    pub fn all(&self, name: impl FieldName) -> Vec<&[u8]> {
        match name.as_bytes() {
            name if is_pseudo(name) => Vec::new(),
            name => self.list().values(name).collect(),
        }
    }

    /// Whether there is a header of that name, be its value empty.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn may_be_cached(response: &Response) -> bool {
    ///     !response.headers().contains(SET_COOKIE) && !response.headers().contains("x-private")
    /// }
    ///
    /// // A local reply has headers without a host, so a test begins with one.
    /// let reply = LocalReply::new(StatusCode::OK).header("x-private", 1);
    /// assert!(!may_be_cached(&reply.into()));
    /// ```
    #[must_use]
    pub fn contains(&self, name: impl FieldName) -> bool {
        let name = name.as_bytes();
        !is_pseudo(name) && self.list().values(name).next().is_some()
    }

    /// What the body is, as `content-type` says; `None` where it says nothing, no media type, or
    /// several.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # use attache::ContentType;
    /// # fn is_json(request: &Request) -> bool {
    /// request.headers().content_type().is_some_and(ContentType::is_json)
    /// # }
    /// ```
    #[must_use]
    pub fn content_type(&self) -> Option<ContentType<'_>> {
        let mut values = self.list().values(b"content-type");
        match (values.next(), values.next()) {
            (Some(only), None) => ContentType::parse(only),
            _ => None,
        }
    }

    /// Every name and value in order, without pseudo headers.
    ///
    /// ```
    /// use attache::Headers;
    /// use attache::prelude::*;
    ///
    /// /// How large the headers are.
    /// fn size(headers: &Headers) -> usize {
    ///     headers.iter().map(|(name, value)| name.len() + value.len()).sum()
    /// }
    ///
    /// let reply: Response = LocalReply::new(StatusCode::OK).header(RETRY_AFTER, 10).into();
    /// assert_eq!(size(reply.headers()), "retry-after".len() + "10".len());
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.list().iter().filter(|(name, _)| !is_pseudo(name))
    }

    /// Removes every value of `name`.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// let mut response: Response = LocalReply::new(StatusCode::OK)
    ///     .header(SERVER, "a")
    ///     .header(SERVER, "b")
    ///     .into();
    /// response.headers_mut().remove("Server");
    /// assert!(!response.headers().contains(SERVER));
    /// ```
    pub fn remove(&mut self, name: impl FieldName) {
        if is_pseudo(name.as_bytes()) {
            return;
        }
        self.change(Write::Remove(name.as_bytes()));
    }

    /// Makes `value` the only value of `name`. Both may be text.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// let mut response: Response = LocalReply::new(StatusCode::OK)
    ///     .header(CACHE_CONTROL, "public")
    ///     .into();
    /// response.headers_mut().insert(CACHE_CONTROL, "no-store");
    /// response.headers_mut().insert("X-Frame-Options", "DENY");
    /// assert_eq!(response.headers().all(CACHE_CONTROL), [b"no-store"]);
    /// assert_eq!(response.headers().all("x-frame-options"), [b"DENY"]);
    /// ```
    pub fn insert(&mut self, name: impl FieldName, value: impl FieldValue) {
        let Some(value) = value.into_value().filter(|_| name::is_token(&name)) else {
            return self.fail();
        };
        let name = name.as_bytes();
        if name.eq_ignore_ascii_case(HOST.as_str().as_bytes()) {
            self.change(Write::Replace(AUTHORITY, value.as_bytes()));
            return;
        }
        // A replacement removes first: hosts have been seen to overwrite only the first of several
        // values.
        match self.list.get_mut() {
            Some(list) => list.set(name, value.as_bytes()),
            None => self.early.get_mut().set(name, value.as_bytes()),
        }
    }

    /// Adds `value` after those that `name` has. Both may be text.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// let mut response: Response = Response::local(StatusCode::OK, "welcome\n");
    /// response.headers_mut().append(SET_COOKIE, "a=1");
    /// response.headers_mut().append("set-cookie", "b=2");
    /// assert_eq!(response.headers().all(SET_COOKIE), [b"a=1", b"b=2"]);
    /// ```
    pub fn append(&mut self, name: impl FieldName, value: impl FieldValue) {
        match value.into_value() {
            Some(value) if name::is_token(&name) => self.add(name.as_bytes(), value.as_bytes()),
            _ => self.fail(),
        }
    }

    /// Notes that a name or a value is none, which comes to light when the headers are used.
    #[cold]
    pub(crate) fn fail(&mut self) {
        self.list();
        if let Some(list) = self.list.get_mut() {
            list.fail(Error::misuse(
                "the filter writes a header whose name or value is none",
            ));
        }
    }

    /// Takes the fault out that a change has left.
    pub(crate) fn take_fault(&mut self) -> Option<Error> {
        self.list.get_mut()?.take_fault()
    }

    /// The same, for a name that is known to be one. Without a [`HeaderName`], the names that `http` knows
    /// are not in the module: 3 KB.
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        self.change(Write::Add(name, value));
    }

    /// Removes each header for which `keep` answers false, and says how many those were.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// let mut response: Response = LocalReply::new(StatusCode::OK)
    ///     .header("x-debug-shard", 7)
    ///     .header(RETRY_AFTER, 10)
    ///     .into();
    /// let removed = response.headers_mut().retain(|name, _| !name.starts_with(b"x-debug-"));
    /// assert_eq!(removed, 1);
    /// assert!(response.headers().contains(RETRY_AFTER));
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> usize {
        self.list();
        let Some(list) = self.list.get_mut() else {
            return 0;
        };
        list.retain(|name, value| is_pseudo(name) || keep(name, value))
    }

    /// Makes of each header what `change` answers, and says how many do not stay as they are. The order
    /// among values of one name stays.
    ///
    /// ```
    /// # use attache::Fate;
    /// # use attache::prelude::*;
    /// # fn call(request: &mut Request) {
    /// request.headers_mut().rewrite(|name, value| match name {
    ///     b"x-debug" => Fate::Goes,
    ///     b"x-tenant" => match HeaderValue::from_bytes(&value.to_ascii_lowercase()) {
    ///         Ok(value) => Fate::Becomes(value),
    ///         Err(_) => Fate::Goes,
    ///     },
    ///     _ => Fate::Stays,
    /// });
    /// # }
    /// ```
    pub fn rewrite(&mut self, mut change: impl FnMut(&[u8], &[u8]) -> Fate) -> usize {
        self.list();
        let Some(list) = self.list.get_mut() else {
            return 0;
        };
        // By reference: the work behind it is then compiled once.
        list.rewrite(&mut |name, value| match is_pseudo(name) {
            true => Fate::Stays,
            false => change(name, value),
        })
    }

    /// The first value of a pseudo header; Envoy joins several by a comma, so there is but one.
    pub(crate) fn pseudo(&self, name: &str) -> Option<&[u8]> {
        self.list().values(name.as_bytes()).next()
    }

    pub(crate) fn set_pseudo(&mut self, name: &str, value: &[u8]) {
        self.list();
        if let Some(list) = self.list.get_mut() {
            list.set(name.as_bytes(), value);
        }
    }

    /// Says how long the body is, where the message says so at all; whether it does.
    pub(crate) fn set_length(&mut self, length: usize) -> bool {
        if self.contains("content-length")
            && let Some(list) = self.list.get_mut()
        {
            list.set(b"content-length", length.to_string().as_bytes());
            return true;
        }
        false
    }

    pub(crate) fn is_of(&self, stream: u32) -> bool {
        self.stream == stream
    }

    /// Writes what has changed to the host. Where the host refuses some of it, what was written
    /// before is taken back. To be called once.
    pub(crate) fn commit(&mut self) -> Result<(), Refusal> {
        let outcome = self.write();
        forget();
        outcome
    }

    fn write(&mut self) -> Result<(), Refusal> {
        let is_read = self.list.get().is_some();
        if !is_read && self.early.get_mut().replacements() >= READING_PAYS {
            self.list();
        }
        if self.list.get().is_some() {
            return self.commit_list();
        }
        let early = self.early.get_mut();
        if early.is_empty() {
            return Ok(());
        }
        let mut is_torn = false;
        // What was not read cannot be given back.
        make(early, self.map, self.stream, &mut is_torn).map_err(|refusal| Refusal {
            error: refusal.into(),
            is_torn,
        })
    }

    fn commit_list(&mut self) -> Result<(), Refusal> {
        let (map, mut is_torn) = (self.map, false);
        let Some(list) = self.list.get_mut() else {
            return Ok(());
        };
        if let Some(error) = list.take_fault() {
            return Err(Refusal { error, is_torn });
        }
        let writes = list.writes();
        if writes.is_empty() {
            return Ok(());
        }
        let outcome = tasks::within(self.stream, || {
            for (index, write) in writes.iter().enumerate() {
                if let Err(refusal) = write.make(map) {
                    let made = writes.get(..index).unwrap_or_default();
                    is_torn = !take_back(list, map, made);
                    return Err(refusal);
                }
                is_torn = true;
            }
            Ok(())
        });
        outcome.flatten().map_err(|refusal| Refusal {
            error: refusal.into(),
            is_torn,
        })
    }

    fn change(&mut self, change: Write<'_>) {
        match self.list.get_mut() {
            Some(list) => list.apply(change),
            None => self.early.get_mut().push(change),
        }
    }

    fn list(&self) -> &List {
        self.list.get_or_init(|| {
            let mut list = self.read().unwrap_or_else(List::unread);
            for change in self.early.take().iter() {
                list.apply(change);
            }
            Box::new(list)
        })
    }

    fn read(&self) -> Result<List, Error> {
        if self.stream == NOBODY {
            return Ok(List::default());
        }
        let pairs = tasks::within(self.stream, || READER.get()(self.map))??;
        // A map that is not there reads as an empty one; real headers have at least their
        // pseudo headers.
        let may_be_empty = matches!(self.map, Map::RequestTrailers | Map::ResponseTrailers);
        List::parse(pairs)
            .filter(|list| may_be_empty || list.iter().next().is_some())
            .ok_or_else(|| Error::garbled("proxy_get_header_map_pairs"))
    }
}

/// Makes the host calls; `is_torn` from the first one on.
#[inline]
fn make(writes: &Writes, map: Map, stream: u32, is_torn: &mut bool) -> Result<(), HostError> {
    let before = tasks::switch(stream)?;
    let outcome = writes.iter().try_for_each(|write| {
        write.make(map)?;
        *is_torn = true;
        Ok(())
    });
    tasks::switch_back(before)?;
    outcome
}

/// Takes back what was written; whether the host's map is again what it was.
#[cold]
fn take_back(list: &List, map: Map, made: &[Write<'_>]) -> bool {
    for write in made {
        for undo in list.undo(write.name()) {
            if undo.make(map).is_err() {
                return false;
            }
        }
    }
    true
}

/// Why changes were not written.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// Whether some of them were, and could not be taken back.
    pub(crate) is_torn: bool,
}

fn is_pseudo(name: &[u8]) -> bool {
    name.first() == Some(&b':')
}

/// Headers that no host stands behind, for tests of what is done with them.
///
/// ```
/// use attache::Headers;
///
/// let mut headers: Headers = [("x-debug", "1"), ("accept", "*/*")].into_iter().collect();
/// headers.retain(|name, _| !name.starts_with(b"x-debug"));
/// assert_eq!(headers.iter().count(), 1);
/// ```
impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut list = List::default();
        for (name, value) in pairs {
            list.append(name.as_ref(), value.as_ref());
        }
        Self {
            list: OnceCell::from(Box::new(list)),
            ..Self::detached()
        }
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What no host stands behind is there without a call.
        let list = match self.stream {
            NOBODY => Some(self.list()),
            _ => self.list.get().map(Box::as_ref),
        };
        let names = list.map(|list| {
            list.iter()
                .map(|(name, _)| String::from_utf8_lossy(name))
                .collect::<Vec<_>>()
        });
        formatter
            .debug_struct("Headers")
            .field("map", &self.map)
            .field("names", &names)
            .finish_non_exhaustive()
    }
}
