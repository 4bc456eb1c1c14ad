//! The module that `attache build` makes, in a host that answers as Envoy does.

use std::time::Duration;

use attache_harness::{Host, HostError, Request, Response, plugin};

#[test]
fn a_service_that_is_down_costs_no_request() -> Result<(), HostError> {
    let mut host = Host::builder()
        .access_logger(plugin!("audit").config(include_str!("config.json")))
        .cluster("audit", Response::refused())
        .start()?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(exchange.response().status(), 200);
    host.advance(Duration::from_secs(2))
}
