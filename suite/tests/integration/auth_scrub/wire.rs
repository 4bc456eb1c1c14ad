//! What only a raw socket sends. Whether Envoy refuses it or passes it on, the secret stays behind.

use std::time::Duration;

use attache_envoy::http1;
use attache_envoy::upstream::{Reply, Upstream};
use serde_json::{Value, json};

use super::chain::{Chain, chain, configured, in_front_of};

fn filter() -> Value {
    configured(&json!({"rules": [{
        "request": {"defaults": true, "cookies": [{"name": "session", "action": "remove"}]},
        "response": {
            "headers": [{"name": "x-debug", "action": "remove"}],
            "set_cookies": [{"name": "debug", "action": "remove"}],
            "location_query": true,
        },
    }]}))
}

/// Sends each, and looks at what arrived; how many were answered with 200.
fn sent(chain: &Chain, requests: &[Vec<u8>]) -> usize {
    let mut answered = 0;
    let mut leaks = Vec::new();
    for request in requests {
        let answer = http1::exchange(chain.address, request, Duration::from_secs(10));
        answered += usize::from(answer.is_ok_and(|answer| answer.status == 200));
        for received in chain.upstream.take() {
            let text = received.to_text().escape_ascii().to_string();
            let request = request.escape_ascii();
            if text.contains("hunter2") {
                leaks.push(format!("{request} became {text}"));
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    answered
}

#[test]
#[ignore = "needs Envoy"]
fn no_spelling_of_a_header_brings_a_credential_through() {
    let chain = chain("scrub-raw-headers", &[filter()]);
    let head = "GET /x HTTP/1.1\r\nhost: a\r\n";
    let padded = "x".repeat(40_000);
    let mut requests: Vec<Vec<u8>> = [
        "AUTHORIZATION: Bearer hunter2",
        "Authorization: harmless\r\nAuthorization: Bearer hunter2",
        "Authorization:\r\nAuthorization: Bearer hunter2",
        "Authorization: Digest a=b, Bearer hunter2",
        "authorization:hunter2",
        "authorization:\thunter2\t",
        " authorization: hunter2",
        "authorization : hunter2",
        "authorization\t: hunter2",
        "authorization\u{b}: hunter2",
        "authorization;: hunter2",
        "authorization: a\r\n hunter2",
        "authorization\r\n: hunter2",
        "authorization: a\0hunter2",
        "authorization: a\rx: hunter2",
        "x_api_key: hunter2\r\nx.api.key: hunter2\r\nx~api!key: hunter2",
        "connection: authorization\r\nauthorization: hunter2",
        "connection: close, x-api-key\r\nx-api-key: hunter2",
        "grpc-metadata-authorization: hunter2\r\nauthorization-bin: hunter2",
        "sec-websocket-protocol: bearer, hunter2\r\nsec-websocket-protocol: access_token.hunter2",
        "referer: https://a/?access_token=hunter2#token=hunter2",
        "x-original-url: /x?token=hunter2\r\nx_rewrite_url: ?token=hunter2",
        "x-envoy-original-path: /?key=hunter2\r\nx-envoy-original-url: http://a/?key=hunter2",
        "proxy-authorization: hunter2\r\nproxy-connection: keep-alive",
        "authorization: Bearer\thunter2",
        "authorization: \t \thunter2 \t",
        "authorization:\r\n\thunter2",
        "authorization: a\r\n\r\nhunter2",
        "x-a: 1\nauthorization: hunter2\r",
        "authorization\u{e9}: hunter2",
        "Authorizat\u{130}on: hunter2",
        "authorization\0: hunter2",
        "x-api-key : hunter2",
        "x-api-key;v=1: hunter2",
        "te: trailers\r\nx-api-key: hunter2",
        "connection: te, authorization\r\nte: trailers\r\nauthorization: hunter2",
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\
         authorization: hunter2",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-protocol: hunter2.hunter2, bearer.hunter2\r\n\
         authorization: hunter2",
        "x-forwarded-host: user:hunter2@b\r\nx-original-host: hunter2@b",
        "referer: https://user:hunter2@b/\r\nx-original-url: //user:hunter2@b/x",
        "referer: HTTPS:\\\\user:hunter2@b",
        "grpcgateway-authorization: Bearer hunter2\r\ngrpcgateway-cookie: session=hunter2",
        "grpc_metadata_cookie: a=1; session=hunter2\r\nGRPC-Metadata-Referer: ?token=hunter2",
        "x-auth-request-redirect: /x?token=hunter2",
        "sec-websocket-protocol: auth.eyJhIjoxfQ.eyJhIjoxfQ.hunter2, Bearer%20hunter2",
    ]
    .iter()
    .map(|lines| format!("{head}{lines}\r\n\r\n").into_bytes())
    .collect();
    requests.extend([
        format!("{head}x-pad: {padded}\r\nauthorization: hunter2\r\n\r\n").into_bytes(),
        format!("{head}authorization: {padded}hunter2\r\n\r\n").into_bytes(),
        b"GET /x HTTP/1.1\r\nhost: a\r\nauthorization: \xff\xfehunter2\r\n\r\n".to_vec(),
        b"GET /x HTTP/1.1\nhost: a\nauthorization: hunter2\n\n".to_vec(),
        b"OPTIONS * HTTP/1.1\r\nhost: a\r\nauthorization: hunter2\r\n\r\n".to_vec(),
        b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\nauthorization: hunter2\r\n\r\n".to_vec(),
        b"GET /x HTTP/1.1\r\nhost: user:hunter2@a\r\n\r\n".to_vec(),
        b"GET /x HTTP/1.1\r\nhost: hunter2@a:80\r\n\r\n".to_vec(),
        b"GET /x HTTP/1.1\r\nhost: a\r\nhost: user:hunter2@b\r\n\r\n".to_vec(),
        b"GET /x HTTP/1.1\r\nhost: user:hunter2@\r\n\r\n".to_vec(),
        b"GET /x HTTP/1.1\r\nhost: us@er:hunter2@a\r\n\r\n".to_vec(),
        b"GET HTTP://user:hunter2@a/x HTTP/1.1\r\nhost: b:hunter2@c\r\n\r\n".to_vec(),
        b"GET /x HTTP/1.0\r\nhost: user:hunter2@a\r\nauthorization: hunter2\r\n\r\n".to_vec(),
        b"GET /x HTTP/1.0\r\nauthorization: hunter2\r\n\r\n".to_vec(),
        b"GET /x\r\nauthorization: hunter2\r\n\r\n".to_vec(),
        b"CONNECT user:hunter2@a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n".to_vec(),
        b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\
          authorization: hunter2\r\n\r\n0\r\n\r\n"
            .to_vec(),
        b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity, chunked\r\n\
          authorization: hunter2\r\n\r\n0\r\n\r\n"
            .to_vec(),
        b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\
          authorization: a\r\n hunter2\r\nx-api-key\t: hunter2\r\n\r\n"
            .to_vec(),
        // Chunks have extensions, and lines behind the last one.
        b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: authorization\r\n\r\n\
          2;authorization=hunter2\r\nab\r\n0;token=hunter2\r\nauthorization: hunter2\r\n\
          cookie: session=hunter2\r\nx_api_key: hunter2\r\n\r\n"
            .to_vec(),
        b"POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\
          authorization: hunter2\r\n\r\nab"
            .to_vec(),
        // One request behind another.
        b"GET /x HTTP/1.1\r\nhost: a\r\n\r\nGET /x HTTP/1.1\r\nhost: a\r\n\
          authorization: hunter2\r\n\r\n"
            .to_vec(),
    ]);
    let answered = sent(&chain, &requests);
    assert!(answered >= 18, "{answered} were answered");
    chain.envoy.stop().unwrap();
}

#[test]
#[ignore = "needs Envoy"]
fn no_spelling_of_a_cookie_or_parameter_brings_it_through() {
    let chain = chain("scrub-raw-cookies", &[filter()]);
    let cookies = [
        "session=hunter2",
        "a=1;session=hunter2",
        "a=1;\tsession\t=\thunter2",
        "a=1; SESSION=hunter2",
        "a=\"x; session=hunter2\"",
        "session=\"x; hunter2\"; b=1",
        "a=1, session=hunter2",
        "$Version=1; session=hunter2; $Path=/",
        "sess%69on=hunter2; session[]=hunter2",
        ";;session=hunter2",
        "a; session=hunter2; session=hunter2",
        "a=1\r\ncookie: session=hunter2\r\ncookie: b=1",
        "=session=hunter2",
        "a=1; ==session=hunter2; = session=hunter2",
        "a=1;\u{b}session=hunter2",
        "a=1,session=hunter2;b=2,\tsession=hunter2",
        "a=\"1;session=hunter2\";session=hunter2",
        "SeSsIoN=hunter2; sessi%6Fn=hunter2; %73ession=hunter2",
        "session=a\r\n hunter2",
        "session\r\n =hunter2",
        "a=1 session=2; session=hunter2",
        "session=hunter2\r\nCOOKIE: session=hunter2",
    ];
    let targets = [
        "/x?access_token=hunter2",
        "/x?a#&access_token=hunter2",
        "/x?%61ccess_token=hunter2&;token=hunter2",
        "/x?a=1;token=hunter2",
        "/x?&&%74%6F%6B%65%6E=hunter2&token",
        "/x?token%00=hunter2&token[]=hunter2&[token]=hunter2",
        "/x?+token=hunter2&%20token=hunter2&%u0074oken=hunter2",
        "//x?token=hunter2",
        "http://a/x?token=hunter2#token=hunter2",
        "http://a?token=hunter2",
        "http://user:hunter2@a/x",
        "?token=hunter2",
        "/x?token=hunter2?token=hunter2",
        "/x?a=1?token=2&token=hunter2",
        "/x?to%6ben=hunter2&t%6Fken=hunter2&TOKEN=hunter2&tOkEn=hunter2",
        "/x?access_token+=hunter2&access+token=hunter2",
        "/x?token\u{0}=hunter2",
        "/x?%C0%A0=1&token=hunter2",
        "/x?a[token]=1&token[a][b]=hunter2",
        "/x?;token=hunter2;a=1",
        "/x?a=%26token=1&%26=2&token=hunter2",
        "/x?token=hunter2%0d%0aauthorization:%20hunter2",
        "/x;token=1?token=hunter2",
        "/%2e%2e/x?token=hunter2",
        "/x?token=hunter2#?a=1",
        "http://hunter2@a/x?token=hunter2",
    ];
    let mut requests: Vec<Vec<u8>> = cookies
        .iter()
        .map(|line| format!("GET /x HTTP/1.1\r\nhost: a\r\ncookie: {line}\r\n\r\n").into_bytes())
        .collect();
    requests.extend(
        targets.map(|target| format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").into_bytes()),
    );
    requests.push(
        b"GET /x HTTP/1.1\r\nhost: a\r\ncookie: a=\xff; session=\xfe hunter2\r\n\r\n".to_vec(),
    );
    let answered = sent(&chain, &requests);
    assert!(answered >= 18, "{answered} were answered");
    chain.envoy.stop().unwrap();
}

#[test]
#[ignore = "needs Envoy"]
fn no_spelling_in_a_response_brings_it_back() {
    let upstream = Upstream::start(|_| {
        Reply::new(200)
            .header("Set-Cookie", "debug=hunter2; Path=/")
            .header("SET-COOKIE", " DEBUG =hunter2")
            .header("set-cookie", "\tdebug=\"a; hunter2\"; HttpOnly")
            .header(
                "set-cookie",
                "kept=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT, debug=1",
            )
            .header("X_Debug", "hunter2")
            .header("location", "//b/?token=hunter2&a=%41#b")
            .body("ok")
    });
    let chain = in_front_of(upstream.unwrap(), "scrub-raw-answers", &[filter()]);
    let request = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n";
    let answer = http1::exchange(chain.address, request, Duration::from_secs(10)).unwrap();
    let values = |name: &str| -> Vec<String> {
        let own = answer.headers.iter();
        own.filter(|own| own.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|own| own.value.escape_ascii().to_string())
            .collect()
    };
    assert_eq!(
        values("set-cookie"),
        ["kept=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT, debug=1"]
    );
    assert_eq!(values("location"), ["//b/?a=%41#b"]);
    assert_eq!(values("x_debug"), [""; 0]);
    chain.envoy.stop().unwrap();
}

#[test]
#[ignore = "needs Envoy"]
fn no_spelling_of_a_token_keeps_its_signature() {
    // What is no token goes with its header; a claim is only what a token says.
    let filter = configured(&json!({"rules": [
        {"request": {"jwt": {"action": "strip_signature", "claims_to_headers": {"sub": "x-user"}}}},
        {"request": {"jwt": {"from": "x-jwt", "action": "strip_signature"}}},
    ]}));
    let chain = chain("scrub-raw-tokens", &[filter]);
    let long = "ICAg".repeat(3_000);
    let tokens = [
        // `{"alg":"RS256"}`, `{"sub":"ada"}`, and eight letters of Base64.
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.hunter2A",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.hunter2A.hunter2A.hunter2A",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.hunter2",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ==.hunter2A",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.hunter2A,",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.hunter2A, Bearer b",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.\thunter2A",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.hunter2A#",
        // `{"alg":"none"}`, `{"alg":"none","alg":"RS256"}`, `{}`, `[]`, and no JSON.
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.hunter2A",
        "eyJhbGciOiJub25lIiwiYWxnIjoiUlMyNTYifQ.eyJzdWIiOiJhZGEifQ.hunter2A",
        "e30.eyJzdWIiOiJhZGEifQ.hunter2A",
        "W10.W10.hunter2A",
        "a.b.hunter2A",
        "..hunter2A",
        "hunter2",
    ];
    let mut requests = Vec::new();
    for token in tokens {
        for line in [
            format!("authorization: Bearer {token}"),
            format!("AUTHORIZATION: bEARER\t{token}\t"),
            format!("authorization: {token}"),
            format!("authorization: Basic {token}"),
            format!("authorization: Bearer a\r\nauthorization: Bearer {token}"),
            format!("authorization: Bearer {token}\r\nauthorization: Bearer {token}"),
            format!("authorization:\r\nauthorization: Bearer {token}"),
            format!("x-jwt: {token}\r\nx_jwt: {token}\r\nX.Jwt: Bearer {token}"),
            format!("grpc-metadata-authorization: Bearer {token}\r\nauthorization-bin: {token}"),
        ] {
            requests.push(line);
        }
    }
    requests.extend([
        format!("authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30{long}.hunter2A"),
        format!("authorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30g{long}.hunter2A"),
        "x-user: hunter2\r\nX_User: hunter2".to_owned(),
        "authorization: Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.hunter2A\r\nx.user: hunter2\r\n\
         grpc-metadata-x-user: hunter2"
            .to_owned(),
    ]);
    let requests: Vec<Vec<u8>> = requests
        .iter()
        .map(|lines| format!("GET /x HTTP/1.1\r\nhost: a\r\n{lines}\r\n\r\n").into_bytes())
        .collect();
    let answered = sent(&chain, &requests);
    assert_eq!(answered, requests.len());
    chain.envoy.stop().unwrap();
}
