//! Paths by their segments, as Envoy's `path_template` and the path templates of gRPC transcoding.

/// A template that has been read.
#[derive(Clone, Debug)]
pub(crate) struct PathTemplate {
    segments: Vec<Segment>,
    /// Whether anything may follow.
    open: bool,
}

#[derive(Clone, Debug)]
enum Segment {
    Text(Vec<u8>),
    Any,
}

impl PathTemplate {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err("a path template begins with `/`");
        };
        let mut segments = Vec::new();
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            let inner = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            let meant = match inner {
                Some(name) => name.split_once('=').map_or("*", |(_, meant)| meant),
                None => part,
            };
            match meant {
                "**" if parts.peek().is_some() => return Err("`**` stands at the end only"),
                "**" => {
                    return Ok(Self {
                        segments,
                        open: true,
                    });
                }
                "*" => segments.push(Segment::Any),
                text if text.contains(['*', '{', '}']) => {
                    return Err("expected segments of text, `*`, `**`, `{name}` or `{name=**}`");
                }
                text => segments.push(Segment::Text(text.into())),
            }
        }
        Ok(Self {
            segments,
            open: false,
        })
    }

    pub(crate) fn is_like(&self, path: &[u8]) -> bool {
        let Some(rest) = path.strip_prefix(b"/") else {
            return false;
        };
        let mut parts = rest.split(|&byte| byte == b'/');
        for segment in &self.segments {
            let is_like = match (segment, parts.next()) {
                (Segment::Text(text), Some(part)) => text == part,
                (Segment::Any, Some(part)) => !part.is_empty(),
                (_, None) => false,
            };
            if !is_like {
                return false;
            }
        }
        // `**` is one segment or more, or none: `/a/**` is like `/a/`.
        self.open == parts.next().is_some()
    }
}
