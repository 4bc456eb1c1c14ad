//! A request goes on once.

use attache::prelude::*;

async fn call(request: Request, other: Request, next: Next) -> Result<Response, Error> {
    let _ = next.run(other).await?;
    next.run(request).await
}

fn main() {}
