//! Replaces a word in server-sent events while they pass.
//!
//! Events go on as they come, one by one, however the network cuts them: `map_body` sees all that has
//! come, decides whole lines, and leaves the rest, which comes again with the next bytes. The line is
//! the unit, so that a word cut in two is found.

#![forbid(unsafe_code)]

use std::rc::Rc;

use attache::prelude::*;
use attache::{BodyTransform, Piece};

/// The filter.
#[derive(Debug)]
pub struct Sse {
    config: Rc<Config>,
}

/// The plugin configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The word, in lines of data.
    word: String,
    /// What stands in its place.
    by: String,
}

/// Changes one body.
struct Events(Rc<Config>);

impl Events {
    fn line(&self, line: &[u8], piece: &mut Piece<'_>) {
        let word = self.0.word.as_bytes();
        let mut kept = 0;
        if line.starts_with(b"data:") {
            let places = |from: usize| {
                let rest = line.get(from..).unwrap_or_default();
                rest.windows(word.len()).position(|part| part == word)
            };
            while let Some(distance) = places(kept) {
                piece.keep(distance);
                piece.skip(word.len());
                piece.write(self.0.by.as_bytes());
                kept += distance + word.len();
            }
        }
        piece.keep(line.len() - kept);
    }
}

impl BodyTransform for Events {
    fn body(&mut self, piece: &mut Piece<'_>) -> Result<(), Error> {
        // Lines end by LF, CR or both: none of them is part of a word.
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
        while let Some(end) = piece.rest().iter().position(ends) {
            let (line, _) = piece.rest().split_at(end + 1);
            self.line(line, piece);
        }
        if piece.is_last() {
            self.line(piece.rest(), piece);
        }
        Ok(())
    }
}

impl HttpFilter for Sse {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST
        .union(Phases::RESPONSE)
        .union(Phases::RESPONSE_BODY);

    fn configure(config: Config, _plugin: &Plugin) -> Result<Self, ConfigError> {
        if config.word.is_empty() || config.word.contains(['\r', '\n']) {
            return Err(ConfigError::at("/word", "expected a word on one line"));
        }
        if config.by.contains(['\r', '\n']) {
            return Err(ConfigError::at(
                "/by",
                "a second line would be another field",
            ));
        }
        let config = Rc::new(config);
        Ok(Self { config })
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        // Compressed events could not be read.
        request.headers_mut().remove(ACCEPT_ENCODING);
        let mut response = next.run(request).await?;
        let kind = response.headers().content_type();
        if kind.is_some_and(|kind| kind.is("text/event-stream")) {
            response.map_body(Events(Rc::clone(&self.config)));
        }
        Ok(response)
    }
}

attache::filters! { "sse" => Sse }
