//! Path templates: a fixed list, so that a label has as many values as the list has lines.

/// A list of templates, of which the first that fits a path names it.
#[derive(Debug, Default)]
pub struct Templates(Vec<Template>);

#[derive(Debug)]
struct Template {
    text: String,
    segments: Vec<Segment>,
    /// Whether any segments may follow: `{rest...}`.
    open: bool,
}

#[derive(Debug, Eq, PartialEq)]
enum Segment {
    Literal(Vec<u8>),
    /// `{name}`: one segment that is not empty.
    Any,
}

/// Why a template was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Which of the list.
    pub index: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl Templates {
    /// Reads the list. A template that could never be reached is an error.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] for the first template that is wrong.
    pub fn new<T: AsRef<str>>(list: &[T]) -> Result<Self, Refusal> {
        let mut templates: Vec<Template> = Vec::new();
        for (index, text) in list.iter().enumerate() {
            let refuse = |reason: String| Refusal { index, reason };
            let template =
                Template::parse(text.as_ref()).map_err(|reason| refuse(reason.to_owned()))?;
            if let Some(first) = templates.iter().position(|first| first.covers(&template)) {
                return Err(refuse(format!(
                    "never reached, because the template at {first} takes all its paths"
                )));
            }
            templates.push(template);
        }
        Ok(Self(templates))
    }

    /// Which template names a path, which is matched up to its query.
    #[must_use]
    pub fn position(&self, path: &[u8]) -> Option<usize> {
        let path = path.split(|&byte| byte == b'?').next()?;
        self.0.iter().position(|template| template.fits(path))
    }

    /// The text of a template.
    #[must_use]
    pub fn text(&self, position: usize) -> Option<&str> {
        self.0.get(position).map(|template| template.text.as_str())
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text
            .strip_prefix('/')
            .ok_or("expected a template that begins with `/`")?;
        let mut segments = Vec::new();
        let mut open = false;
        for part in rest.split('/') {
            if open {
                return Err("nothing follows `{…...}`");
            }
            let variable = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            match variable {
                Some(name) => {
                    let name = match name.strip_suffix("...") {
                        Some(name) => {
                            open = true;
                            name
                        }
                        None => {
                            segments.push(Segment::Any);
                            name
                        }
                    };
                    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                    if name.is_empty() || !name.bytes().all(is_letter) {
                        return Err("expected letters, digits and `_` as the name in braces");
                    }
                }
                None if part.bytes().all(is_plain) => {
                    segments.push(Segment::Literal(part.as_bytes().to_vec()));
                }
                None => {
                    return Err(
                        "expected segments of letters, digits and `_.:*-,+@`, `{name}`, and `{name...}` \
                         as the last one",
                    );
                }
            }
        }
        Ok(Self {
            text: text.to_owned(),
            segments,
            open,
        })
    }

    fn fits(&self, path: &[u8]) -> bool {
        let Some(rest) = path.strip_prefix(b"/") else {
            return false;
        };
        let mut parts = rest.split(|&byte| byte == b'/');
        for segment in &self.segments {
            let fits = match (segment, parts.next()) {
                (Segment::Literal(literal), Some(part)) => literal == part,
                (Segment::Any, Some(part)) => !part.is_empty(),
                (_, None) => false,
            };
            if !fits {
                return false;
            }
        }
        // `/static/{rest...}` takes `/static/`, and not `/static`.
        parts.next().is_some() == self.open
    }

    /// Whether it takes every path that `other` takes.
    fn covers(&self, other: &Self) -> bool {
        let enough = if self.open {
            other.segments.len() > self.segments.len()
                || (other.open && other.segments.len() == self.segments.len())
        } else {
            !other.open && other.segments.len() == self.segments.len()
        };
        let takes = |(own, others): (&Segment, &Segment)| match (own, others) {
            (Segment::Any, Segment::Any) => true,
            (Segment::Any, Segment::Literal(literal)) => !literal.is_empty(),
            (own, others) => own == others,
        };
        enough && self.segments.iter().zip(&other.segments).all(takes)
    }
}

/// What stands in a label as it is.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.:*-,+@".contains(&byte)
}

#[cfg(test)]
mod tests;
