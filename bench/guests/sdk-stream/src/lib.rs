//! A look at each piece of a body, written with the SDK.

use attache::prelude::*;

struct Stream;

impl HttpFilter for Stream {
    type Config = ();

    const PHASES: Phases = Phases::REQUEST.union(Phases::REQUEST_BODY);

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        let mut length = 0;
        request.watch_body(move |piece| length += piece.len());
        next.forward(request)
    }
}

attache::filters! { "stream" => Stream }
