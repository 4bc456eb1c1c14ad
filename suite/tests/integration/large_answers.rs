//! Answers to call-outs that are larger than the buffers of Envoy's listeners and clusters.

use attache_suite::{Case, Filter, Reply, Request, Seen};
use serde_json::json;

use crate::both::{Play, check_both, module};

/// More than the MiB that both buffer unless they are told otherwise.
const SIZE: usize = 3_000_000;

fn play() -> Play {
    let headers = json!({"pairs": [[":method", "GET"], [":path", "/"], [":authority", "a"]]});
    let script = json!({
        "request_headers": [
            {"set": "stream", "to": "$context"},
            {"call": "http_call", "args": ["callee", headers, "", {"pairs": []}, 5000]},
            {"return": 1},
        ],
        "http_call_response": [
            {"show": "$3"},
            {"call": "get_status"},
            {"call": "get_buffer_status", "args": [4]},
            {"call": "set_effective_context", "args": ["$stream"]},
            {"call": "continue_stream", "args": [0]},
        ],
    });
    let filter = Filter::new("probe", module("probe")).configured(script.to_string());
    let case = Case::new(filter)
        .answer(Reply::new(200))
        .cluster("callee", Reply::new(200).body(vec![b'x'; SIZE]))
        .request(Request::get("/"));
    (case, |seen: &Seen| {
        let log = format!("{:?}", seen.log);
        assert!(log.contains("get_status() = 0 0 null"), "{log}");
        assert!(log.contains("get_buffer_status(4) = 0 3000000 0"), "{log}");
    })
}

#[test]
#[ignore = "needs Envoy"]
fn an_answer_over_the_buffer_limit_comes_whole() {
    check_both("large_answers", play());
}
