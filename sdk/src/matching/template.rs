use super::MatchError;

const BEGINS: &str = "a path template begins with `/`";
const SYNTAX: &str =
    "expected segments of text, `*`, `{name}` or `{name=*}`, and `**` or `{name=**}` as the last";

/// A path by its segments, as Envoy's `path_template` and the templates of gRPC transcoding:
/// `/users/{id}`, `/users/*/posts`, `/files/**`, `/{all=**}`.
///
/// `*` and `{name}` stand for a segment that is not empty, `**` and `{name=**}` for whatever follows
/// the slash before them. Names are letters, digits and `_`, and say nothing.
///
/// ```
/// use attache::matching::{MatchError, PathTemplate};
///
/// let template = PathTemplate::new("/files/{rest=**}")?;
/// assert!(template.matches(b"/files/a/b"));
/// assert!(template.matches(b"/files/"));
/// assert!(!template.matches(b"/files"));
/// # Ok::<(), MatchError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PathTemplate {
    segments: Vec<Segment>,
    /// Whether anything may follow.
    open: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Segment {
    Text(Box<[u8]>),
    Any,
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// ```
    /// use attache::matching::PathTemplate;
    ///
    /// assert!(PathTemplate::new("/users/{id}/posts/**").is_ok());
    /// for wrong in ["users", "/**/posts", "/user-{id}"] {
    ///     assert!(PathTemplate::new(wrong).is_err(), "{wrong}");
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, MatchError> {
        let rest = text.as_bytes().strip_prefix(b"/");
        let mut template = Self {
            segments: Vec::new(),
            open: false,
        };
        for segment in rest.ok_or(MatchError(BEGINS))?.split(|&byte| byte == b'/') {
            match meaning(segment).filter(|_| !template.open) {
                Some(b"**") => template.open = true,
                Some(b"*") => template.segments.push(Segment::Any),
                Some(text) if text.iter().all(is_text) => {
                    template.segments.push(Segment::Text(text.into()));
                }
                _ => return Err(MatchError(SYNTAX)),
            }
        }
        Ok(template)
    }

    /// Whether a path, which has no query, is like this.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        self.compare(path, |text, segment| text == segment)
    }

    /// The same, with letters of ASCII in either case.
    ///
    /// ```
    /// use attache::matching::{MatchError, PathTemplate};
    ///
    /// let template = PathTemplate::new("/users/{id}")?;
    /// assert!(template.matches_any_case(b"/Users/7") && !template.matches(b"/Users/7"));
    /// # Ok::<(), MatchError>(())
    /// ```
    #[must_use]
    pub fn matches_any_case(&self, path: &[u8]) -> bool {
        self.compare(path, <[u8]>::eq_ignore_ascii_case)
    }

    fn compare(&self, path: &[u8], same: fn(&[u8], &[u8]) -> bool) -> bool {
        let Some(rest) = path.strip_prefix(b"/") else {
            return false;
        };
        let mut parts = rest.split(|&byte| byte == b'/');
        let is_like = |segment: &Segment| match (segment, parts.next()) {
            (Segment::Text(text), Some(part)) => same(text, part),
            (Segment::Any, Some(part)) => !part.is_empty(),
            (_, None) => false,
        };
        // `**` is one segment or more, which may be empty: `/a/**` is like `/a/`, and not like `/a`.
        self.segments.iter().all(is_like) && parts.next().is_some() == self.open
    }

    /// Whether each path that `other` matches is matched by this one too, so that `other` behind it in a
    /// list is never reached.
    ///
    /// ```
    /// use attache::matching::{MatchError, PathTemplate};
    ///
    /// let (any, one) = (PathTemplate::new("/users/{id}")?, PathTemplate::new("/users/me")?);
    /// assert!(any.covers(&one) && !one.covers(&any));
    /// # Ok::<(), MatchError>(())
    /// ```
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let (own, others) = (self.segments.len(), other.segments.len());
        let enough = match (self.open, other.open) {
            (true, true) => others >= own,
            (true, false) => others > own,
            (false, open) => !open && others == own,
        };
        let takes = |(own, other): (&Segment, &Segment)| match (own, other) {
            (Segment::Any, Segment::Text(text)) => !text.is_empty(),
            (own, other) => own == other,
        };
        enough && self.segments.iter().zip(&other.segments).all(takes)
    }
}

/// What a segment stands for: `*`, `**` or text; `None` where its braces hold no variable.
fn meaning(segment: &[u8]) -> Option<&[u8]> {
    let Some(inside) = segment.strip_prefix(b"{") else {
        return Some(segment);
    };
    let variable = inside.strip_suffix(b"}")?;
    let end = variable.iter().position(|&byte| byte == b'=');
    let (name, meaning) = variable.split_at(end.unwrap_or(variable.len()));
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if name.is_empty() || !name.iter().all(is_name) {
        return None;
    }
    match meaning {
        b"" | b"=*" => Some(b"*"),
        b"=**" => Some(b"**"),
        _ => None,
    }
}

/// Whether a byte may stand in a segment of a path, and has no meaning in a template.
fn is_text(byte: &u8) -> bool {
    *byte > b' ' && *byte != 0x7f && !b"*{}?#".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> PathTemplate {
        PathTemplate::new(text).unwrap()
    }

    #[test]
    fn a_template_is_for_all_of_the_path() {
        for (text, path) in [
            ("/users/{id}", "/users/7"),
            ("/users/{id=*}/x", "/users/7/x"),
            ("/users/*/posts", "/users/7/posts"),
            ("/static/**", "/static/a/b"),
            ("/static/{rest=**}", "/static/"),
            ("/{all=**}", "/"),
            ("/*/a.b", "/x/a.b"),
            ("/a=b/%20", "/a=b/%20"),
            ("/", "/"),
        ] {
            assert!(template(text).matches(path.as_bytes()), "{text} {path}");
        }
        for (text, path) in [
            ("/users/{id}", "/users/"),
            ("/users/{id}", "/users/7/"),
            ("/users/{id}", "/users"),
            ("/users/{id=*}/x", "/users/7/8/x"),
            ("/static/**", "/static"),
            ("/{all=**}", ""),
            ("/*/a.b", "/x/acb"),
            ("/", "*"),
            ("/a", "/A"),
        ] {
            assert!(!template(text).matches(path.as_bytes()), "{text} {path}");
        }
        assert!(template("/a/{b}").matches_any_case(b"/A/b"));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in [
            "",
            "users",
            "/**/a",
            "/a/**/b",
            "/{a=**}/b",
            "/a*",
            "/{a",
            "/a}",
            "/{}",
            "/{a b}",
            "/{=*}",
            "/{a=b*}",
            "/{a=b}",
            "/a?b",
            "/a#b",
            "/a b",
        ] {
            assert!(PathTemplate::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_template_covers_those_that_it_leaves_nothing() {
        for (text, other) in [
            ("/a", "/a"),
            ("/{x}", "/a"),
            ("/{x}", "/{y}"),
            ("/**", "/a/b"),
            ("/**", "/a/**"),
            ("/a/**", "/a/"),
        ] {
            assert!(template(text).covers(&template(other)), "{text} {other}");
        }
        for (text, other) in [
            ("/a", "/{x}"),
            ("/{x}", "/"),
            ("/{x}", "/a/b"),
            ("/a/**", "/a"),
            ("/a/**", "/**"),
            ("/a/b", "/a/**"),
        ] {
            assert!(!template(text).covers(&template(other)), "{text} {other}");
        }
    }
}
