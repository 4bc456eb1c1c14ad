//! A body whose length has been told is not replaced.

use attache::prelude::*;
use attache::{Collected, Sent};

async fn call(request: Request, next: Next) -> Result<Response, Error> {
    let Sent { mut body, response } = next.send(request)?;
    if let Collected::Whole(whole) = body.collect(1024).await? {
        whole.replace("other")?;
    }
    body.pass();
    response.await
}

fn main() {}
