use super::*;

fn printed(kind: Kind, bytes: &[u8]) -> Option<String> {
    print(kind, bytes.to_vec()).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn methods_that_clients_make_up_are_one() {
    assert_eq!(printed(Kind::Method, b"PATCH").as_deref(), Some("PATCH"));
    for other in [&b"patch"[..], b"PROPFIND", b"", b"\xff"] {
        assert_eq!(printed(Kind::Method, other).as_deref(), Some("_OTHER"));
    }
}

#[test]
fn a_status_is_a_status_or_0() {
    for (status, exact, class) in [
        (Some(200), "200", "2xx"),
        (Some(599), "599", "5xx"),
        (Some(100), "100", "1xx"),
        (Some(99), "0", "0"),
        (Some(600), "0", "0"),
        (Some(-1), "0", "0"),
        (None, "0", "0"),
    ] {
        assert_eq!(code(status, false), exact.as_bytes());
        assert_eq!(code(status, true), class.as_bytes());
    }
}

#[test]
fn numbers_times_flags_and_truths_are_printed() {
    let eight = |number: i64| number.to_le_bytes();
    assert_eq!(printed(Kind::Number, &eight(-7)).as_deref(), Some("-7"));
    assert_eq!(
        printed(Kind::Time, &eight(12_999_999)).as_deref(),
        Some("12")
    );
    assert_eq!(printed(Kind::Flags, &eight(2)).as_deref(), Some("UH"));
    assert_eq!(printed(Kind::Status, &eight(404)).as_deref(), Some("404"));
    assert_eq!(printed(Kind::Truth, &[1]).as_deref(), Some("true"));
    for (kind, wrong) in [
        (Kind::Number, &b"seven"[..]),
        (Kind::Time, b""),
        (Kind::Flags, &eight(-1)),
        (Kind::Truth, &[2]),
    ] {
        assert_eq!(printed(kind, wrong), None, "{kind:?}");
    }
}
