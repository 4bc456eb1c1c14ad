//! What is refused of a cluster.

use super::{refusal, suite};

#[test]
fn what_a_cluster_receives_is_expected_of_a_cluster_that_there_is() {
    for (expect, place, reason) in [
        ("{authx: []}", "authx: ", "did you mean `authz`?"),
        (
            "{authz: [{}, {headers: {':path': /}}]}",
            "authz[1].headers.:path: ",
            "is not on the wire",
        ),
        (
            "{authz: [{body: a, messages: [a]}]}",
            "authz[0].messages: ",
            "drop one of the two",
        ),
        ("{authz: {path: /}}", "authz: ", "expected a list"),
    ] {
        let refusal = refusal(&suite(&format!(
            "request: {{}}\nclusters: {{authz: {{}}}}\nexpect: {{clusters: {expect}}}"
        )));
        let place = format!("cases[0].expect.clusters.{place}");
        assert!(refusal.contains(&place), "{expect}: {refusal}");
        assert!(refusal.contains(reason), "{expect}: {refusal}");
    }
}

#[test]
fn a_grpc_server_answers_what_grpc_can_carry() {
    for (cluster, place, reason) in [
        (
            "{grpc: {mesages: [a]}}",
            "g.grpc.mesages: ",
            "did you mean `messages`?",
        ),
        (
            "{status: 200, grpc: {}}",
            "g.status: ",
            "with `grpc` all of the answer stands there",
        ),
        (
            "{protocol: http1, grpc: {}}",
            "g.protocol: ",
            "gRPC is spoken over HTTP/2",
        ),
        ("{fault: closed, grpc: {}}", "g.fault: ", "of HTTP/1.1 only"),
        ("{fault: reset}", "g.fault: ", "`reset` is of HTTP/2 only"),
        (
            "{grpc: {trailers_only: true, messages: [a]}}",
            "g.grpc.trailers_only: ",
            "drop one of the two",
        ),
        (
            "{fault: cut, grpc: {status: 1}}",
            "g.grpc: ",
            "has no status",
        ),
        (
            "{grpc: {opening: {trailers: {a: b}}}}",
            "g.grpc.opening.trailers: ",
            "belongs to a `status`",
        ),
        (
            "{grpc: {trailers: {Grpc-Status: 1}}}",
            "g.grpc.trailers: ",
            "written from the other keys",
        ),
        (
            "{grpc: {status_message: \"a\\nb\"}}",
            "g.grpc.status_message: ",
            "`%0A`",
        ),
        (
            "{grpc: {status: ok}}",
            "g.grpc.status: ",
            "a whole number, found `ok`",
        ),
    ] {
        let refusal = refusal(&suite(&format!(
            "request: {{}}\nclusters: {{g: {cluster}}}"
        )));
        let place = format!("cases[0].clusters.{place}");
        assert!(refusal.contains(&place), "{cluster}: {refusal}");
        assert!(refusal.contains(reason), "{cluster}: {refusal}");
    }
}
