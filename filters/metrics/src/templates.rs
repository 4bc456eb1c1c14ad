//! Path templates: a fixed list, so that a label has as many values as the list has lines.

use attache::matching::PathTemplate;

const SYNTAX: &str = "expected a template that begins with `/`: segments of letters, digits and `_.:-,+@`, `*` or \
                      `{name}` for any one, and `**` or `{name...}` as the last";

/// A list of templates, of which the first that fits a path names it.
#[derive(Debug, Default)]
pub struct Templates(Vec<Template>);

#[derive(Debug)]
struct Template {
    text: String,
    pattern: PathTemplate,
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
            if let Some(first) = templates
                .iter()
                .position(|first| first.pattern.covers(&template.pattern))
            {
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
        self.0
            .iter()
            .position(|template| template.pattern.matches(path))
    }

    /// The text of a template.
    #[must_use]
    pub fn text(&self, position: usize) -> Option<&str> {
        self.0.get(position).map(|template| template.text.as_str())
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let pattern = match text.strip_suffix("...}") {
            Some(front) => PathTemplate::new(&(front.to_owned() + "=**}")),
            None => PathTemplate::new(text),
        };
        let pattern = pattern.ok().filter(|_| text.split('/').all(is_plain));
        Ok(Self {
            text: text.to_owned(),
            pattern: pattern.ok_or(SYNTAX)?,
        })
    }
}

/// Whether a segment stands in a label as it is.
fn is_plain(segment: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:*-,+@{}".contains(&byte);
    segment.bytes().all(is_letter)
}

#[cfg(test)]
mod tests;
