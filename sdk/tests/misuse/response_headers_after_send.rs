//! Headers of a response that has gone on cannot be changed.

use attache::prelude::*;

async fn call(request: Request, next: Next) -> Result<Response, Error> {
    let mut response = next.run(request).await?;
    let sent = response.send()?;
    response.headers_mut().remove(SERVER);
    Ok(sent.finish())
}

fn main() {}
