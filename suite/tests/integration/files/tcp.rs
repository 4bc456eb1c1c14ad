//! What is refused of a play of TCP, and what `--bless` writes of one.

use super::{blessed_text, refusal, suite, suite_around};

#[test]
fn steps_of_tcp_need_a_connection() {
    for (case, place, reason) in [
        (
            "steps: [{connect: {}}]",
            "steps[0].connect: ",
            "asks for with `tcp`",
        ),
        (
            "tcp: {}\nsteps: [{request: {}}]",
            "steps[0].request: ",
            "this is of HTTP",
        ),
        (
            "tcp: {}\nrequest: {}",
            "cases[0].request: ",
            "this is of HTTP",
        ),
        (
            "tcp: {}\nsteps: [{send: a}]",
            "steps[0].send: ",
            "`connect` first",
        ),
        (
            "tcp: {}\nsteps: [{connect: {}}, {half_close: cleint}]",
            "steps[1].half_close: ",
            "did you mean `client`?",
        ),
        (
            "tcp: {}\nsteps: [{connect: {}}, {connect: {}}]",
            "steps[1].connect: ",
            "a `name` of its own",
        ),
        (
            "tcp: {}\nsteps: [{connect: {}, expect: {}}]",
            "steps[0].expect: ",
            "stands within `connect`",
        ),
        (
            "tcp: {}\nsteps: [{connect: {}}]\nexpect: {upstream: none}",
            "expect.upstream: ",
            "about one connection",
        ),
        (
            "tcp: {clusters: {upstream: {}}}\nsteps: [{connect: {}}]",
            "tcp.clusters.upstream: ",
            "this is the cluster that connections go to",
        ),
        (
            "tcp: {clusters: {a: {clusters: {b: {}}}}}\nsteps: [{connect: {}}]",
            "tcp.clusters.a.clusters: ",
            "a cluster has no clusters",
        ),
        (
            "clusters: {a: {}}\ntcp: {clusters: {a: {}}}\nsteps: [{connect: {}}]",
            "tcp.clusters.a: ",
            "take another name",
        ),
        (
            "tcp: {clusters: {a: {fault: refused}}}\nsteps: [{connect: {}}]",
            "tcp.clusters.a.fault: ",
            "somebody listens at each of these",
        ),
        (
            "tcp: {ends: after_answer}\nsteps: [{connect: {}}]",
            "tcp.ends: ",
            "there is no `answer`",
        ),
        (
            "tcp: {}\nsteps: [{connect: {expect: {upstream: {end: closed}}}}]",
            "connect.expect.upstream.end: ",
            "expected one of `open`",
        ),
    ] {
        let refusal = refusal(&suite(case));
        assert!(refusal.contains(place), "{case}: {refusal}");
        assert!(refusal.contains(reason), "{case}: {refusal}");
    }
}

#[test]
fn a_cluster_of_the_whole_suite_is_refused_where_it_stands() {
    let text = suite("tcp: {}\nsteps: [{connect: {}}]");
    let shared = "\nclusters: {a: {}}\ntcp: {clusters: {a: {}}}\ncases:";
    let refusal = refusal(&text.replace("\ncases:", shared));
    assert!(refusal.contains(" tcp.clusters.a: "), "{refusal}");
    assert!(!refusal.contains("cases[0]"), "{refusal}");
}

#[test]
fn what_peers_received_is_written_down() {
    let steps = "steps:\n  - connect: {}\n  - send: hello\n  - half_close: client";
    let blessed = |case: &str| blessed_text(suite_around("probe", case));
    let after = blessed(&format!("tcp: {{answer: world}}\n{steps}"));
    let expected = "connect: {expect: {upstream: {bytes: hello, end: fin}, \
                    downstream: {bytes: world, end: fin}}}";
    assert!(after.contains(expected), "{after}");
    let wrong = after
        .replace("bytes: hello", "bytes: bye")
        .replace("end: fin", "end: open");
    let (_, wrong) = wrong.split_once("tcp:").unwrap();
    let corrected = blessed(&format!("tcp:{wrong}"));
    assert!(corrected.contains(expected), "{corrected}");
}
