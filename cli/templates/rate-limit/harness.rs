//! The module that `attache build` makes, in a host that answers as Envoy does.

use attache_harness::{Host, HostError, Request, plugin};

#[test]
fn the_request_past_the_limit_is_refused() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("rate-limit").config(include_str!("config.json")))?;
    let request = || Request::get("/").header("x-client", "a");
    for _ in 0..100 {
        assert_eq!(host.send(request())?.response().status(), 200);
    }
    assert_eq!(host.send(request())?.response().status(), 429);
    Ok(())
}
