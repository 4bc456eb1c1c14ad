//! A call-out before the request goes on, written with the SDK.

use std::time::Duration;

use attache::prelude::*;

const BENCH: HeaderName = HeaderName::from_static("x-bench");

struct Call {
    callee: Cluster,
}

impl HttpFilter for Call {
    type Config = ();

    const PHASES: Phases = Phases::REQUEST.union(Phases::WAITS);

    fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self {
            callee: plugin.cluster("callee"),
        })
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        let check = self.callee.get("/check").timeout(Duration::from_secs(5));
        if check.send().await?.status() != StatusCode::OK {
            return Ok(Response::local(StatusCode::FORBIDDEN, ""));
        }
        request
            .headers_mut()
            .append(BENCH, HeaderValue::from_static("1"));
        next.forward(request)
    }
}

attache::filters! { "call" => Call }
