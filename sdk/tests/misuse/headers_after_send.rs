//! Headers that have gone on cannot be changed.

use attache::prelude::*;

async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
    let sent = next.send(request)?;
    request.headers_mut().remove(COOKIE);
    sent.response.await
}

fn main() {}
