//! Two ends of one stream in one callback.

use attache_harness::{Host, HostError, Request, Response};
use serde_json::{Value, json};

use super::{Tested, lines, probe};

fn reply(status: u32) -> Value {
    json!({"call": "send_local_response", "args": [status, format!("d{status}"), "tea", "", -1]})
}

fn close(stream: u32) -> Value {
    json!({"call": "close_stream", "args": [stream]})
}

fn ends(callback: &str, steps: &[Value]) -> Result<attache_harness::Exchange, HostError> {
    let mut host = Host::with(probe(json!({
        callback: steps,
        "log": [{"call": "get_property", "args": ["response\0code_details"]}],
    })))?;
    host.upstream(|_| Response::new(200).body("from upstream"));
    host.send(Request::get("/x"))
}

#[test]
fn of_two_replies_to_a_request_the_first_is_sent_with_the_details_of_the_second() -> Tested {
    let exchange = ends("request_headers", &[reply(418), reply(500)])?;
    assert_eq!(exchange.response().status(), 418);
    let log = lines(exchange.log());
    let details = r#"log: get_property("response\x00code_details") = 0 "d500""#;
    assert_eq!(log.last().map(String::as_str), Some(details), "{log:?}");
    Ok(())
}

#[test]
fn a_second_end_in_a_response_callback_would_crash_envoy() {
    for callback in ["response_headers", "response_body"] {
        for steps in [
            [reply(418), reply(500)],
            [reply(418), close(1)],
            [close(1), close(1)],
        ] {
            let error = ends(callback, &steps).expect_err("Envoy has no more stream to end");
            assert!(
                matches!(error, HostError::EnvoyWouldCrash { .. }),
                "{error}"
            );
            assert!(
                error.to_string().contains("which has ended the stream"),
                "{error}"
            );
        }
    }
}
