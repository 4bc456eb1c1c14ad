//! The module that `attache build` makes, in a host that answers as Envoy does.

use attache_harness::{Host, HostError, Request, plugin};

#[test]
fn the_upstream_is_told_who_sent_the_request() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("add-header").config(include_str!("config.json")))?;
    let exchange = host.send(Request::get("/").header("x-from", "client"))?;
    let request = exchange.upstream_request();
    assert_eq!(request.headers().get("x-from"), Some(&b"proxy"[..]));
    Ok(())
}
