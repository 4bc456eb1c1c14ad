//! The module that `attache build` makes, in a host that answers as Envoy does.

use attache_harness::{Host, HostError, Request, Response, plugin};

#[test]
fn a_word_is_found_where_the_network_cuts_it() -> Result<(), HostError> {
    let mut host = Host::with(plugin!("sse").config(include_str!("config.json")))?;
    host.upstream(|_| {
        Response::ok()
            .header("content-type", "text/event-stream")
            .chunk("data: a sec")
            .chunk("ret\n\n")
    });
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(exchange.response().body(), b"data: a ***\n\n");
    Ok(())
}
