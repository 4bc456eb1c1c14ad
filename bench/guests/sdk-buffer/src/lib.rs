//! A whole body before the request goes on, written with the SDK.

use attache::prelude::*;

const BENCH: HeaderName = HeaderName::from_static("x-bench");

struct Buffer;

impl HttpFilter<Holding> for Buffer {
    type Config = ();

    const PHASES: Phases = Phases::REQUEST.union(Phases::REQUEST_BODY);

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    async fn call(
        &self,
        mut request: Request<Holding>,
        next: Next<Holding>,
    ) -> Result<Response<Holding>, Error> {
        let length = match request.collect(1 << 20).await? {
            Collected::Whole(whole) => whole.bytes().len(),
            _ => return Ok(Response::local(StatusCode::PAYLOAD_TOO_LARGE, "")),
        };
        request
            .headers_mut()
            .append(BENCH, HeaderValue::from(length));
        next.forward(request)
    }
}

attache::filters! { "buffer" => Buffer }
