use attache_harness::{Exchange, Host, HostError, LintKind, Request};

use crate::guest::guest;

type Tested = Result<(), HostError>;

/// The names of an exchange's lints.
fn names(exchange: &Exchange) -> Vec<&'static str> {
    let lints = exchange.lints().iter();
    lints.map(|lint| lint.kind.name()).collect()
}

#[test]
fn reading_the_first_of_several_values_is_told_once() -> Tested {
    let read = "(drop (call $get_header_map_value (i32.const 0) s(X-Token) ret))";
    let guest = guest().on("request_headers", &format!("{read} {read} i32.const 0"));
    let mut host = guest.host();
    let exchange = host.send(
        Request::get("/")
            .header("x-token", "a")
            .header("x-token", "b"),
    )?;
    assert_eq!(names(&exchange), ["first-of-several-values"]);
    let told = exchange.lints()[0].to_string();
    assert!(
        told.starts_with(
            "lint first-of-several-values: `guest`: `X-Token` has 2 values; the call hands out"
        ) && told.ends_with("(proxy-wasm/spec#53)"),
        "{told}"
    );
    assert!(
        exchange.timeline().to_string().contains(&told),
        "{exchange}"
    );
    let plain = host.send(Request::get("/").header("x-token", "a"))?;
    assert_eq!(names(&plain), [""; 0]);
    Ok(())
}

#[test]
fn a_host_can_make_lints_errors_all_but_some() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(drop (call $get_header_map_value (i32.const 0) s(x-token) ret)) i32.const 0",
    );
    let twice = || {
        Request::get("/")
            .header("x-token", "a")
            .header("x-token", "b")
    };
    let strict = Host::builder().plugin(guest.plugin("guest")).deny_lints();
    let error = strict.start()?.send(twice()).expect_err("a lint");
    assert!(
        matches!(&error, HostError::Lint { lint, .. } if lint.kind == LintKind::FirstOfSeveralValues),
        "{error}"
    );
    let lenient = Host::builder()
        .plugin(guest.plugin("guest"))
        .deny_lints()
        .allow_lint(LintKind::FirstOfSeveralValues);
    assert_eq!(lenient.start()?.send(twice())?.lints().len(), 1);
    Ok(())
}
