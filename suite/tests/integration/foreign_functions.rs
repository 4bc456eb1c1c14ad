//! Foreign functions and DNS lookups: the harness against a real Envoy.

use attache_harness::Host;

use crate::both::folder;
use crate::properties::{bootstrap, on_envoy, on_harness, request};
use crate::reader::{Step, get, module, set};

/// Plays the steps in configure, in request headers and in response headers on both hosts.
fn check_both(name: &str, steps: &[Step]) {
    let phases = ["configure", "rqh", "rsh"].map(|phase| (phase, steps.to_vec()));
    let guest = module(&phases);
    let predicted = on_harness(Host::builder(), &guest, request());
    let folder = folder(name);
    let count = predicted.len();
    let seen = on_envoy(&folder, &guest, count, |upstream| {
        bootstrap(&folder, upstream)
    });
    assert_eq!(predicted, seen, "left: the harness, right: Envoy");
    assert!(seen.len() > 3 * steps.len(), "{seen:?}");
}

fn foreign(name: &'static str, argument: impl Into<Vec<u8>>) -> Step {
    Step::Foreign(name, argument.into())
}

/// A message of strings, by field number.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, value) in fields {
        bytes.push(number << 3 | 2);
        let mut size = value.len();
        while size >= 0x80 {
            bytes.push(size.to_le_bytes()[0] | 0x80);
            size >>= 7;
        }
        bytes.push(size.to_le_bytes()[0]);
        bytes.extend_from_slice(value);
    }
    bytes
}

#[test]
#[ignore = "needs Envoy"]
fn zlib_streams_are_those_of_envoy() {
    check_both(
        "foreign-zlib",
        &[
            foreign("compress", ""),
            foreign("compress", "hello hello hello hello"),
            foreign("compress", vec![7; 1000]),
            foreign("uncompress", ""),
            foreign("uncompress", "junk"),
            foreign("uncompress", *b"x\x9c\x03\x00\x00\x00\x00\x01"),
            foreign("uncompress", *b"x\x9c\x03\x00\x00\x00\x00\x01more"),
            foreign("uncompress", *b"x\x9c\x03\x00\x00\x00\x00"),
            foreign("", ""),
        ],
    );
}

const RSA: &str = include_str!("../../../harness/tests/integration/keys/rsa.pem");
const RSA_PKCS1: &str = include_str!("../../../harness/tests/integration/keys/rsa-pkcs1.pem");
const RSA_PUBLIC: &str = include_str!("../../../harness/tests/integration/keys/rsa-public.pem");
const P256_PUBLIC: &str = include_str!("../../../harness/tests/integration/keys/p256-public.pem");
const P384_PUBLIC: &str = include_str!("../../../harness/tests/integration/keys/p384-public.pem");

#[test]
#[ignore = "needs Envoy"]
fn signatures_are_made_and_judged_as_in_envoy() {
    let mut steps = Vec::new();
    // 1: hash, 2: key as DER, 3: text, 4: key as PEM.
    let sign = |hash: &str, der: &[u8], pem: &str| {
        let argument = message(&[
            (1, hash.as_bytes()),
            (2, der),
            (3, b"text"),
            (4, pem.as_bytes()),
        ]);
        foreign("sign", argument)
    };
    for hash in ["sha1", "sha224", "SHA256", "sha384", "sha512", "md5", ""] {
        steps.push(sign(hash, b"", RSA));
    }
    steps.extend([
        sign("sha256", b"", RSA_PKCS1),
        sign("sha256", b"", RSA_PUBLIC),
        sign("sha256", b"", "junk"),
        sign("sha256", b"junk", ""),
        sign("sha256", b"junk", RSA),
        sign("sha256", b"", ""),
        sign("md5", b"", "junk"),
        foreign("sign", ""),
        foreign("sign", *b"\x0a\x01\xff"),
        foreign("sign", *b"\x0a"),
    ]);
    // 1: hash, 2: key as DER, 3: signature, 4: text, 5: key as PEM.
    let verify = |hash: &str, der: &[u8], signature: &[u8], pem: &str| {
        let fields: [(u8, &[u8]); 5] = [
            (1, hash.as_bytes()),
            (2, der),
            (3, signature),
            (4, b"text"),
            (5, pem.as_bytes()),
        ];
        foreign("verify_signature", message(&fields))
    };
    // Made by OpenSSL over `text` with SHA-256.
    let rsa = include_bytes!("../../../harness/tests/integration/keys/text.rsa");
    let p256 = include_bytes!("../../../harness/tests/integration/keys/text.p256");
    let p384 = include_bytes!("../../../harness/tests/integration/keys/text.p384");
    steps.extend([
        verify("sha256", b"", rsa, RSA_PUBLIC),
        verify("sha1", b"", rsa, RSA_PUBLIC),
        verify("sha256", b"", p256, RSA_PUBLIC),
        verify("sha256", b"", p256, P256_PUBLIC),
        verify("sha512", b"", p256, P256_PUBLIC),
        verify("sha256", b"", b"", P256_PUBLIC),
        verify("sha256", b"", p384, P384_PUBLIC),
        verify("sha256", b"", p256, P384_PUBLIC),
        verify("sha256", b"", rsa, RSA),
        verify("sha256", b"", rsa, "junk"),
        verify("sha256", b"junk", rsa, ""),
        verify("sha256", b"junk", rsa, "junk"),
        verify("sha256", b"", rsa, ""),
        verify("md5", b"", rsa, RSA_PUBLIC),
        foreign("verify_signature", ""),
    ]);
    check_both("foreign-signatures", &steps);
}

#[test]
#[ignore = "needs Envoy"]
fn declared_properties_are_kept_as_in_envoy() {
    // 1: name, 2: readonly, 3: type, 4: schema, 5: span.
    let declare = |name: &str, readonly: u8, kind: u8, schema: &str, span: u8| {
        let mut argument = message(&[(1, name.as_bytes())]);
        argument.extend([2 << 3, readonly, 3 << 3, kind]);
        argument.extend(message(&[(4, schema.as_bytes())]));
        argument.extend([5 << 3, span]);
        foreign("declare_property", argument)
    };
    check_both(
        "foreign-declare",
        &[
            declare("once", 1, 0, "", 0),
            declare("once", 0, 0, "", 0),
            declare("text", 0, 1, "", 1),
            declare(
                "message",
                0,
                3,
                "type.googleapis.com/google.protobuf.StringValue",
                2,
            ),
            declare("odd", 0, 9, "", 9),
            foreign("declare_property", ""),
            foreign("declare_property", *b"\x0a\x09"),
            // Groups, which are skipped: whole, with another's end, without an end, within each other.
            foreign("declare_property", *b"\x33\x08\x01\x34\x0a\x05group"),
            foreign("declare_property", *b"\x33\x08\x01\x3c\x0a\x05other"),
            foreign("declare_property", *b"\x33\x08\x01\x0a\x03end"),
            foreign("declare_property", *b"\x34\x0a\x05start"),
            foreign(
                "declare_property",
                [vec![0x33; 99], vec![0x34; 99], b"\x0a\x04deep".to_vec()].concat(),
            ),
            foreign("declare_property", [[0x33; 102], [0x34; 102]].concat()),
            // A field of another kind is another field; a tag has 32 bits.
            foreign("declare_property", *b"\x12\x01\x01\x0a\x04kind"),
            foreign("declare_property", *b"\x82\x80\x80\x80\x80\x01\x00"),
            foreign("declare_property", *b"\x0a\x05twice\x0a\x06second"),
            set("once", "1"),
            set("once", "2"),
            get("once"),
            set("text", "s"),
            set("text", "t"),
            get("text"),
            get("filter_state/wasm.text"),
            set("message", b"\x0a\x03abc"),
            get("message"),
            set("odd", "o"),
            get("odd"),
        ],
    );
}

#[test]
#[ignore = "needs Envoy"]
fn objects_of_the_filter_state_are_those_of_envoy() {
    let names = [
        "envoy.network.upstream_server_name",
        "envoy.network.application_protocols",
        "envoy.network.upstream_subject_alt_names",
        "envoy.network.ip",
        "envoy.network.network_namespace",
        "envoy.network.transport_socket.original_dst_address",
        "envoy.filters.listener.original_dst.local_ip",
        "envoy.filters.listener.original_dst.remote_ip",
        "envoy.tcp_proxy.cluster",
        "envoy.tcp_proxy.disable_tunneling",
        "envoy.tcp_proxy.per_connection_idle_timeout_ms",
        "envoy.udp_proxy.cluster",
        "envoy.upstream.dynamic_host",
        "envoy.upstream.dynamic_port",
        "envoy.ratelimit.hits_addend",
        "envoy.string",
        "envoy.hashable_string",
        "envoy.bool",
        "envoy.ai.model.request",
        "envoy.filters.http.wasm.something",
        "envoy.stateful_session.address",
        "wasm.key",
        "nothing",
    ];
    let values = [
        "",
        "127.0.0.1:80",
        "5",
        "true",
        "text",
        "10.0.0.1",
        "::1",
        "[::1]:80",
    ];
    let mut steps = vec![foreign("set_envoy_filter_state", *b"\x0a\x09")];
    for value in values {
        for name in names {
            let argument = message(&[(1, name.as_bytes()), (2, value.as_bytes())]);
            steps.push(foreign("set_envoy_filter_state", argument));
            steps.push(get(&format!("filter_state/{name}")));
            for field in ["ip", "port", "other"] {
                steps.push(get(&format!("filter_state/{name}/{field}")));
            }
        }
    }
    check_both("foreign-filter-state", &steps);
}

#[test]
#[ignore = "needs Envoy"]
fn lookups_that_need_no_server_are_answered_as_in_envoy() {
    check_both(
        "foreign-dns",
        &[
            Step::Resolve("127.0.0.1"),
            Step::Resolve("::1"),
            Step::Resolve("bad name"),
            Step::Resolve("192.0.2.999 "),
        ],
    );
}
