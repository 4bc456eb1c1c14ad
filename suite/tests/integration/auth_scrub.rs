use attache_suite::{Case, Ended, Filter, Request, Seen};

use crate::both::{Play, module, plays};

mod again;
mod beside;
mod chain;
mod frames;
mod wire;

plays! {
    each_repetition_and_spelling_of_a_credential_is_gone => spellings();
    what_is_not_a_credential_keeps_every_byte => untouched();
    configured_rules_take_the_place_of_the_default => configured();
    a_body_and_trailers_pass => body();
    header_lines_that_are_not_utf8_are_scrubbed_and_kept_like_others => not_utf8();
}

fn filter() -> Filter {
    Filter::new("auth-scrub", module("auth-scrub"))
}

/// Names and values the upstream received of request `number`.
fn upstream(seen: &Seen, number: usize) -> Vec<(String, String)> {
    let message = seen.streams[number].upstream.as_ref().unwrap();
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    message
        .headers
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn names(seen: &Seen, number: usize) -> Vec<String> {
    upstream(seen, number)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

fn spellings() -> Play {
    let case = Case::new(filter())
        .request(
            Request::get("/p?a=1&access_token=s1&%61ccess_token=s2&ACCESS_TOKEN=s3&b=2")
                .header("Authorization", "Basic c2VjcmV0")
                .header("AUTHORIZATION", "Bearer secret")
                .header("authorization", "")
                .header("X_Api_Key", "secret")
                .header("x.api.key", "secret")
                .header("x-kept", "yes"),
        )
        .request(
            Request::get("/?token=secret")
                .header("Proxy-Authorization", "Basic secret")
                .header("X-Auth-Token", "secret")
                .header("X-AMZ-Security-Token", "secret"),
        );
    (case, |seen| {
        assert_eq!(
            seen.streams[0].upstream.as_ref().unwrap().start,
            "GET /p?a=1&b=2"
        );
        assert_eq!(
            names(seen, 0),
            [
                "host",
                "x-kept",
                "x-forwarded-proto",
                "x-envoy-expected-rq-timeout-ms"
            ]
        );
        assert_eq!(seen.streams[1].upstream.as_ref().unwrap().start, "GET /");
        for stream in &seen.streams {
            assert!(!format!("{stream:?}").contains("secret"));
        }
        assert!(seen.log.is_empty(), "{:?}", seen.log);
    })
}

fn untouched() -> Play {
    let path = "/a%2Fb//c?x=%41%2b+&&=&y&z=?/:@;q=1";
    let case = Case::new(filter()).request(
        Request::get(path)
            .header("Cookie", "session=1; theme=dark")
            .header("x-authorization", "kept")
            .header("x-a", "1")
            .header("x-a", "2"),
    );
    (case, |seen| {
        let upstream = upstream(seen, 0);
        assert_eq!(
            seen.streams[0].upstream.as_ref().unwrap().start,
            "GET /a%2Fb//c?x=%41%2b+&&=&y&z=?/:@;q=1"
        );
        let values = |name: &str| -> Vec<&str> {
            upstream
                .iter()
                .filter(|(own, _)| own == name)
                .map(|(_, value)| value.as_str())
                .collect()
        };
        assert_eq!(values("cookie"), ["session=1; theme=dark"]);
        assert_eq!(values("x-authorization"), ["kept"]);
        assert_eq!(values("x-a"), ["1", "2"]);
    })
}

fn configured() -> Play {
    let configuration = r#"{"rules": [{"request": {
        "headers": [{"name": "X-Partner-Key", "action": "remove"}],
        "query_parameters": [{"name": "partner", "action": "remove"}]
    }}]}"#;
    let case = Case::new(filter().configured(configuration)).request(
        Request::get("/?partner=s&key=kept")
            .header("x-partner-key", "secret")
            .header("authorization", "kept"),
    );
    (case, |seen| {
        assert_eq!(
            seen.streams[0].upstream.as_ref().unwrap().start,
            "GET /?key=kept"
        );
        assert!(names(seen, 0).contains(&"authorization".to_owned()));
        assert!(!names(seen, 0).contains(&"x-partner-key".to_owned()));
    })
}

fn body() -> Play {
    let case = Case::new(filter()).request(
        Request::post("/?key=s")
            .header("authorization", "secret")
            .header("te", "trailers")
            .chunk("first ")
            .chunk("second")
            .trailer("x-sum", "12"),
    );
    (case, |seen| {
        let message = seen.streams[0].upstream.as_ref().unwrap();
        assert_eq!(message.body, b"first second");
        assert_eq!(message.trailers, [(b"x-sum".to_vec(), b"12".to_vec())]);
        assert!(!names(seen, 0).contains(&"authorization".to_owned()));
    })
}

fn not_utf8() -> Play {
    let case = Case::new(filter()).request(
        Request::get("/?key=%ff&x=%fe")
            .header("authorization", &b"Bearer \xff\xfe"[..])
            .header("x-kept", &b"\xc3\x28\x80"[..]),
    );
    (case, |seen| {
        let message = seen.streams[0].upstream.as_ref().unwrap();
        assert_eq!(message.start, "GET /?x=%fe");
        assert_eq!(message.values("authorization").count(), 0);
        assert_eq!(
            message.values("x-kept").collect::<Vec<_>>(),
            [b"\xc3\x28\x80"]
        );
        assert!(matches!(seen.streams[0].downstream, Ended::Answered(_)));
    })
}
