use attache_harness::{Host, HostError, Request};

use crate::guest::{guest, said};

type Tested = Result<(), HostError>;

/// Calls a function and tells status and result. Bytes of the argument are escaped as in the text
/// format.
fn foreign(name: &str, argument: &str) -> String {
    format!("(call $tell (call $call_foreign_function s({name}) s({argument}) ret))")
}

/// What the calls tell in a request.
fn told(calls: &[String]) -> Result<Vec<String>, HostError> {
    let guest = guest().on(
        "request_headers",
        &format!("{} i32.const 0", calls.concat()),
    );
    let exchange = guest.host().send(Request::get("/"))?;
    Ok(said(exchange.log())
        .into_iter()
        .map(str::to_owned)
        .collect())
}

#[test]
fn an_unknown_function_hands_out_nothing_and_a_failed_one_null() -> Tested {
    let calls = [foreign("nothing", ""), foreign("uncompress", "junk")];
    assert_eq!(told(&calls)?, ["1", "-", "3", "null"]);
    Ok(())
}

#[test]
fn what_was_compressed_is_uncompressed_and_what_is_cut_short_is_refused() -> Tested {
    let packed = "\\78\\9c\\cb\\48\\cd\\c9\\c9\\57\\c8\\40\\27\\01\\68\\03\\08\\b1";
    let calls = [
        foreign("uncompress", packed),
        foreign("uncompress", &format!("{packed}more")),
        foreign("uncompress", &packed[..packed.len() - 3]),
        foreign("uncompress", ""),
        "(drop (call $call_foreign_function s(compress) s(hello hello) ret))
         (call $tell (call $call_foreign_function s(uncompress) (i32.load (i32.const 16)) (i32.load (i32.const 20)) ret))"
            .to_owned(),
    ];
    let text = "hello hello hello hello";
    assert_eq!(
        told(&calls)?,
        [
            "0",
            text,
            "0",
            text,
            "3",
            "null",
            "3",
            "null",
            "0",
            "hello hello"
        ]
    );
    Ok(())
}

#[test]
fn results_may_be_left_behind() -> Tested {
    let calls = [
        "(call $say (call $call_foreign_function s(compress) s(x) (i32.const 0) (i32.const 0)))
         (call $tell (call $call_foreign_function s(compress) s() (i32.const 0) (i32.const 20)))"
            .to_owned(),
    ];
    assert_eq!(told(&calls)?, ["0", "0", "-"]);
    Ok(())
}

#[test]
fn a_property_is_kept_as_its_root_declared_it() -> Tested {
    // 1: name, 2: readonly.
    let once = "\\0a\\04once\\10\\01";
    let declared = guest()
        .on(
            "configure",
            &format!(
                "{} {} {} i32.const 1",
                foreign("declare_property", once),
                foreign("declare_property", once),
                foreign("declare_property", "\\0a")
            ),
        )
        .on(
            "request_headers",
            &format!(
                "{} (call $say (call $set_property s(once) s(a))) (call $say (call $set_property s(once) s(b)))
                 (call $say (call $set_property s(late) s(a))) (call $say (call $set_property s(late) s(b)))
                 (call $tell (call $get_property s(once) ret)) i32.const 0",
                foreign("declare_property", "\\0a\\04late\\10\\01")
            ),
        );
    let mut host = declared.host();
    let configured = ["0", "null", "2", "null", "2", "null"];
    assert_eq!(said(host.log()), configured.repeat(3));
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()),
        ["0", "null", "0", "2", "0", "0", "0", "a"],
        "a declaration on a stream has no effect"
    );
    Ok(())
}

#[test]
fn filter_state_of_envoy_is_set_where_a_factory_takes_the_value() -> Tested {
    let set = |path: &str, value: &str| {
        let (path_size, value_size) = (path.len(), value.len());
        let argument = format!("\\0a\\{path_size:02x}{path}\\12\\{value_size:02x}{value}");
        foreign("set_envoy_filter_state", &argument)
    };
    let get = |path: &str| {
        let path = path.replace('/', "\\00");
        format!("(call $tell (call $get_property s({path}) ret))")
    };
    let address = "envoy.network.transport_socket.original_dst_address";
    let calls = [
        set("envoy.tcp_proxy.cluster", "blue"),
        get("filter_state/envoy.tcp_proxy.cluster"),
        set(address, "192.0.2.1:80"),
        get(&format!("filter_state/{address}/ip")),
        get(&format!("filter_state/{address}")),
        set(address, "blue"),
        set("nothing", "x"),
        foreign("set_envoy_filter_state", "\\0a"),
    ];
    assert_eq!(
        told(&calls)?,
        [
            "0",
            "null",
            "0",
            "blue",
            "0",
            "null",
            "0",
            "192.0.2.1",
            "0",
            "\0\0\0\0",
            "2",
            "null",
            "1",
            "null",
            "2",
            "null"
        ]
    );
    Ok(())
}

/// A message of strings and bytes, escaped.
fn message(fields: &[(u8, &[u8])]) -> String {
    let mut bytes = Vec::new();
    for (number, value) in fields {
        let size = u16::try_from(value.len()).expect("a short value");
        let [low, high] = (size & 0x7f | (size & 0x3f80) << 1 | 0x80).to_le_bytes();
        bytes.extend([number << 3 | 2, low, high]);
        bytes.extend_from_slice(value);
    }
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

#[test]
fn what_a_key_signed_its_other_half_verifies() -> Tested {
    let keys = [
        (
            include_str!("keys/rsa.pem"),
            include_str!("keys/rsa-public.pem"),
        ),
        (
            include_str!("keys/rsa-pkcs1.pem"),
            include_str!("keys/rsa-public.pem"),
        ),
        (
            include_str!("keys/p256.pem"),
            include_str!("keys/p256-public.pem"),
        ),
        (
            include_str!("keys/p256-sec1.pem"),
            include_str!("keys/p256-public.pem"),
        ),
        (
            include_str!("keys/p384.pem"),
            include_str!("keys/p384-public.pem"),
        ),
    ];
    for (private, public) in keys {
        let signing = message(&[(1, b"sha256"), (3, b"text"), (4, private.as_bytes())]);
        // The signature stands behind two bytes for success and a tag; its size is one byte or two.
        let verifying = message(&[(1, b"sha256"), (4, b"text"), (5, public.as_bytes())]);
        let verified = format!(
            "(drop (call $call_foreign_function s(sign) s({signing}) ret))
             (memory.copy (i32.const 40000) (i32.add (i32.load (i32.const 16)) (i32.const 2)) (i32.sub (i32.load (i32.const 20)) (i32.const 2)))
             (i32.store8 (i32.const 40000) (i32.const 0x1a))
             (call $join s({verifying}) (i32.sub (i32.load (i32.const 20)) (i32.const 2)))"
        );
        let guest = guest()
            .on("request_headers", &format!("{verified} i32.const 0"))
            .with(
                "(func $join (param $from i32) (param $size i32) (param $signature i32)
                   (memory.copy (i32.add (i32.const 40000) (local.get $signature)) (local.get $from) (local.get $size))
                   (call $tell (call $call_foreign_function s(verify_signature) (i32.const 40000)
                     (i32.add (local.get $signature) (local.get $size)) (i32.const 16) (i32.const 20))))",
            );
        let exchange = guest.host().send(Request::get("/"))?;
        assert_eq!(said(exchange.log()), ["0", "\u{8}\u{1}"], "{private}");
    }
    Ok(())
}

#[test]
fn keys_are_refused_as_envoy_does_and_strange_ones_end_the_test() -> Tested {
    let public = include_bytes!("keys/rsa-public.pem");
    let verify =
        |hash: &[u8], pem: &[u8]| foreign("verify_signature", &message(&[(1, hash), (5, pem)]));
    let calls = [
        verify(b"sha256", b"junk"),
        verify(b"md5", b"junk"),
        verify(b"sha256", b""),
        verify(b"sha256", public),
        foreign("sign", &message(&[(1, b"sha256"), (4, public)])),
        foreign("sign", "\\0a\\01\\ff"),
    ];
    assert_eq!(
        told(&calls)?,
        [
            "0",
            "\u{12}#Failed to initialize digest verify.",
            "0",
            "\u{12}\u{15}md5 is not supported.",
            "2",
            "null",
            "0",
            "\u{12}&Failed to verify digest. Error code: 0",
            "0",
            "\u{1a}=Invalid key type: private key required for signing operation.",
            "2",
            "null",
        ]
    );
    let error = told(&[verify(b"sha256", include_bytes!("keys/ed25519-public.pem"))])
        .expect_err("an answer would be an invention");
    assert!(
        error.to_string().contains("with a key that is neither RSA"),
        "{error}"
    );
    Ok(())
}

#[test]
fn an_object_that_envoy_may_know_ends_the_test() {
    let call = foreign("set_envoy_filter_state", "\\0a\\0fenvoy.new.thing");
    let guest = guest().on("request_headers", &format!("{call} i32.const 0"));
    let error = Host::with(guest.plugin("guest"))
        .and_then(|mut host| host.send(Request::get("/")))
        .expect_err("an answer would be an invention")
        .to_string();
    assert!(
        error.starts_with("`set_envoy_filter_state` of `envoy.new.thing`"),
        "{error}"
    );
}

/// The error that ends a request which evaluates this.
fn evaluation(expression: &str) -> HostError {
    let escaped: String = expression
        .bytes()
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    let calls = [
        format!("(drop (call $call_foreign_function s(expr_create) s({escaped}) ret))"),
        "(call $tell (call $call_foreign_function s(expr_evaluate) (i32.load (i32.const 16)) \
         (i32.load (i32.const 20)) ret))"
            .to_owned(),
    ];
    match told(&calls) {
        Ok(told) => panic!("{expression}: {told:?}"),
        Err(error) => error,
    }
}

#[test]
fn an_expression_that_would_take_for_ever_ends_the_test() {
    let list = |size: usize| format!("[{}]", vec!["1"; size].join(","));
    let doubling = |first: &str| format!("[{first}]{}", ".map(a, a + a)".repeat(28));
    let text = format!("'{}'", "a".repeat(80_000));
    for expression in [
        format!("{}.map(x, {}.size())", list(5000), list(5000)),
        doubling("'text'"),
        doubling("[1]"),
        format!("[[1]]{}", ".map(a, [a, a])".repeat(28)),
        format!("[[1]{}].all(x, x == x)", ".map(a, [a, a])".repeat(26)),
        format!("[{text}].all(a, {}.all(x, a <= a))", list(5000)),
        format!("[{text}].all(a, {}.all(x, size(a) > 0))", list(5000)),
        format!("[{text}].all(a, (a + a).contains(a + 'b'))"),
        format!(
            "[{}].map(x, 'a'.matches('b{{1,9}}' + string(x))).size()",
            (0..9000)
                .map(|number| format!("{number},"))
                .collect::<String>()
        ),
    ] {
        let error = evaluation(&expression);
        let text = error.to_string();
        assert!(
            matches!(error, HostError::HostCallLimit { .. }),
            "{}: {text:.300}",
            &expression[..60]
        );
    }
}

#[test]
fn what_an_expression_asks_of_envoys_build_or_machine_is_not_answered() {
    for expression in [
        "google.protobuf.Duration{seconds: 5}",
        "timestamp(0).getHours('Europe/Berlin')",
        "'a'.matches('\\\\pL')",
        "xds.node.extensions[0]",
    ] {
        let error = evaluation(expression);
        assert!(matches!(error, HostError::NotAnswered { .. }), "{error}");
    }
}

#[test]
fn a_look_below_a_property_without_its_schema_would_crash_envoy() {
    // 1: name, 3: type, 4: schema.
    let declared = foreign("declare_property", "\\0a\\02fb\\18\\02\\22\\07garbage");
    for path in ["fb\\00x", "filter_state\\00wasm.fb"] {
        let guest = guest()
            .on("configure", &format!("{declared} i32.const 1"))
            .on(
                "request_headers",
                &format!(
                    "(drop (call $set_property s(fb) s(value)))
                     (call $tell (call $get_property s({path}) ret)) i32.const 0"
                ),
            );
        let error = Host::with(guest.plugin("guest"))
            .and_then(|mut host| host.send(Request::get("/")))
            .expect_err("Envoy crashes");
        assert!(
            matches!(error, HostError::EnvoyWouldCrash { .. }),
            "{error}"
        );
    }
}
