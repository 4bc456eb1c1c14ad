//! A body that has gone on is not looked at.

use attache::prelude::*;
use attache::{Collected, Sent};

async fn call(request: Request, next: Next) -> Result<Response, Error> {
    let Sent { mut body, response } = next.send_to_rewrite(request)?;
    let Collected::Whole(whole) = body.collect(1024).await? else {
        return response.await;
    };
    body.pass();
    whole.replace("too late")?;
    response.await
}

fn main() {}
