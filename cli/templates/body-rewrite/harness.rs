//! The module that `attache build` makes, in a host that answers as Envoy does.

use attache_harness::{Host, HostError, Request, plugin};

#[test]
fn nobody_makes_himself_an_admin() -> Result<(), HostError> {
    let plugin = plugin!("body-rewrite").config(include_str!("config.json"));
    let mut host = Host::with(plugin.allow_on_headers_stop_iteration())?;
    let request = Request::post("/").header("content-type", "application/json");
    let exchange = host.send(request.body(r#"{"role":"admin"}"#))?;
    assert_eq!(exchange.upstream_request().body(), br#"{"role":"guest"}"#);
    Ok(())
}
