//! Headers can be held until the body is known in `Holding` only.

use attache::prelude::*;

async fn call(mut request: Request, next: Next) -> Result<Response, Error> {
    let _ = request.collect(1024).await?;
    next.run(request).await
}

fn main() {}
