//! The body of a request that has gone on is not held any more.

use attache::prelude::*;

async fn call(mut request: Request<Holding>, next: Next<Holding>) -> Result<Response<Holding>, Error> {
    let response = next.run(request).await?;
    let _ = request.collect(1024).await?;
    Ok(response)
}

fn main() {}
