//! Ten header operations, written with the SDK.

use attache::prelude::*;

const ONE: HeaderValue = HeaderValue::from_static("1");
const REQUEST: [HeaderName; 5] = [
    HeaderName::from_static("x-bench"),
    HeaderName::from_static("x-bench-2"),
    HeaderName::from_static("x-bench-3"),
    HeaderName::from_static("x-bench-4"),
    HeaderName::from_static("x-bench-5"),
];
const RESPONSE: [HeaderName; 5] = [
    HeaderName::from_static("x-out"),
    HeaderName::from_static("x-out-2"),
    HeaderName::from_static("x-out-3"),
    HeaderName::from_static("x-out-4"),
    HeaderName::from_static("x-out-5"),
];

struct Headers;

impl HttpFilter for Headers {
    type Config = ();

    const PHASES: Phases = Phases::REQUEST.union(Phases::RESPONSE);

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        for name in REQUEST {
            request.headers_mut().append(name, ONE);
        }
        let mut response = next.run(request).await?;
        for name in RESPONSE {
            response.headers_mut().append(name, ONE);
        }
        Ok(response)
    }
}

attache::filters! { "headers" => Headers }
