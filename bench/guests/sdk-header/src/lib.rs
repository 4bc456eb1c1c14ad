//! Two header operations, written with the SDK.

use attache::prelude::*;

const BENCH: HeaderName = HeaderName::from_static("x-bench");

struct Header;

impl HttpFilter for Header {
    type Config = ();

    const PHASES: Phases = Phases::REQUEST.union(Phases::RESPONSE);

    fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
        request
            .headers_mut()
            .append(BENCH, HeaderValue::from_static("1"));
        let mut response = next.run(request).await?;
        response.headers_mut().remove("x-powered-by");
        Ok(response)
    }
}

attache::filters! { "header" => Header }
