//! What may hold a line break is a value first; a name is lent.

use attache::prelude::*;

async fn call(mut request: Request, next: Next, name: String, tenant: String) -> Result<Response, Error> {
    request.headers_mut().insert("x-tenant", tenant);
    request.headers_mut().remove(name);
    next.run(request).await
}

fn main() {}
