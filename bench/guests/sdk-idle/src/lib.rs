//! Nothing in two callbacks, written with the SDK.

use attache::prelude::*;

struct Idle;

impl HttpFilter for Idle {
    type Config = ();

    const PHASES: Phases = Phases::REQUEST.union(Phases::RESPONSE);

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
        next.run(request).await
    }
}

attache::filters! { "idle" => Idle }
