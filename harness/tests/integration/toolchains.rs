//! Modules that other toolchains made (`fixtures/toolchains/build`), among them examples of two
//! published crates and of an npm package, which nobody here wrote.

use std::fs;
use std::path::Path;
use std::time::Duration;

use attache_harness::{Exchange, Host, HostError, Outcome, Plugin, Request, Response};

type Tested = Result<(), HostError>;

/// A module that was built before; never here, because it takes compilers that have to be fetched.
fn module(name: &str) -> Plugin {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let path = target.expect("a target folder").join("toolchains");
    let path = path.join(format!("{name}.wasm"));
    let bytes = fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; run fixtures/toolchains/build", path.display())
    });
    Plugin::from_bytes(name, bytes).root_id("filter")
}

/// The filter that `fixtures/toolchains/README.md` describes, in front of an upstream that greets.
fn filter(language: &str) -> Result<Host, HostError> {
    let plugin = module(language)
        .config("my text")
        .environment("GREETING", "hello");
    let mut host = Host::builder()
        .plugin(plugin)
        .cluster("authz", |_: &_| Response::new(204))
        .start()?;
    host.upstream(|_| Response::new(200).chunk("hello ").chunk("world\n"));
    Ok(host)
}

/// The lines at the level of standard output or error, one for each copy of the VM.
fn logged(host: &Host, level: &str) -> Vec<String> {
    let lines = host.log().iter();
    let of_level = lines.filter(|line| line.level.to_string() == level);
    of_level.map(|line| line.message.clone()).collect()
}

fn value<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a str> {
    let value = exchange.upstream_request().headers().get(name)?;
    std::str::from_utf8(value).ok()
}

fn starts_with_libc_and_environment(language: &str, greeting: &[&str]) -> Tested {
    let host = filter(language)?;
    let configured = format!("{language}: configured with my text");
    assert_eq!(logged(&host, "info"), vec![configured; 3]);
    assert_eq!(logged(&host, "error"), greeting.repeat(3));
    Ok(())
}

fn changes_headers_and_counts_in_shared_data(language: &str) -> Tested {
    let mut host = filter(language)?;
    for count in ["1", "2", "3"] {
        let exchange = host.send(Request::get("/orders"))?;
        assert_eq!(value(&exchange, "x-toolchain"), Some(language));
        assert_eq!(value(&exchange, "x-configured"), Some("my text"));
        assert_eq!(value(&exchange, "x-count"), Some(count));
        assert_eq!(exchange.response().body(), b"HELLO WORLD\n");
        assert!(!exchange.response().headers().contains_key("content-length"));
    }
    Ok(())
}

fn answers_itself(language: &str) -> Tested {
    let exchange = filter(language)?.send(Request::get("/deny"))?;
    assert_eq!(exchange.response().status(), 403);
    let body = format!("denied by {language}\n").to_uppercase();
    assert_eq!(exchange.response().body(), body.as_bytes());
    assert!(exchange.try_upstream_request().is_none());
    Ok(())
}

fn waits_for_a_call_out(language: &str) -> Tested {
    let mut host = filter(language)?;
    host.cluster("authz", |_: &_| {
        Response::new(204).after(Duration::from_millis(30))
    });
    let id = host.open(Request::get("/ask"))?;
    assert!(matches!(
        host.exchange(id)?.outcome(),
        Outcome::Paused { .. }
    ));
    host.advance(Duration::from_millis(30))?;
    assert_eq!(value(host.exchange(id)?, "x-verdict"), Some("204"));

    host.cluster("authz", |_: &_| {
        Response::new(200).after(Duration::from_secs(9))
    });
    let id = host.open(Request::get("/ask"))?;
    host.advance(Duration::from_secs(1))?;
    assert_eq!(value(host.exchange(id)?, "x-verdict"), Some("504"));
    Ok(())
}

fn does_not_grow(language: &str) -> Tested {
    let mut host = filter(language)?;
    for _ in 0..2_000 {
        let exchange = host.send(Request::get("/orders").header("x-long", "x".repeat(2_000)))?;
        assert_eq!(exchange.response().status(), 200);
    }
    Ok(())
}

macro_rules! languages {
    ($($module:ident $language:literal $greeting:expr;)*) => {
        $(mod $module {
            use super::Tested;

            #[test]
            #[ignore = "needs the other toolchains"]
            fn starts_with_libc_and_environment() -> Tested {
                super::starts_with_libc_and_environment($language, &$greeting)
            }

            #[test]
            #[ignore = "needs the other toolchains"]
            fn changes_headers_and_counts_in_shared_data() -> Tested {
                super::changes_headers_and_counts_in_shared_data($language)
            }

            #[test]
            #[ignore = "needs the other toolchains"]
            fn answers_itself() -> Tested {
                super::answers_itself($language)
            }

            #[test]
            #[ignore = "needs the other toolchains"]
            fn waits_for_a_call_out() -> Tested {
                super::waits_for_a_call_out($language)
            }

            #[test]
            #[ignore = "needs the other toolchains"]
            fn does_not_grow() -> Tested {
                super::does_not_grow($language)
            }
        })*
    };
}

languages! {
    c "c" ["c: greeting hello"];
    assemblyscript "assemblyscript" ["assemblyscript: greeting hello"];
    // Rust's standard error has no buffer: a line for each part of the format string, and for the end.
    rust_wasip1 "rust-wasip1" ["rust-wasip1: greeting ", "hello", ""];
    go "go" ["go: greeting hello"];
}

/// Both ages of the published examples.
fn examples(name: &str) -> [Plugin; 2] {
    ["abi_0_1_0", "abi_0_2_0"].map(|abi| module(&format!("{abi}_{name}")))
}

#[test]
#[ignore = "needs the other toolchains"]
fn a_published_example_ticks_with_wasi_time_and_chance() -> Tested {
    for plugin in examples("hello_world") {
        let mut host = Host::with(plugin)?;
        host.advance(Duration::from_secs(5))?;
        let lines = logged(&host, "info");
        assert_eq!(lines[..3], ["Hello, World!"; 3]);
        // The main thread's copy and the worker's.
        let ticks = lines
            .iter()
            .filter(|line| line.contains("your lucky number is "));
        assert_eq!(ticks.count(), 2, "{lines:?}");
        // It makes no stream contexts, and its SDK panics when it is asked for one.
        assert_eq!(host.send(Request::get("/"))?.response().status(), 503);
    }
    Ok(())
}

#[test]
#[ignore = "needs the other toolchains"]
fn a_published_example_answers_and_logs_headers() -> Tested {
    for plugin in examples("http_headers") {
        let mut host = Host::with(plugin)?;
        let hello = host.send(Request::get("/hello"))?;
        assert_eq!(hello.response().body(), b"Hello, World!\n");
        assert_eq!(
            hello.response().headers().get("powered-by"),
            Some(&b"proxy-wasm"[..])
        );
        assert!(
            host.send(Request::get("/other"))?
                .try_upstream_request()
                .is_some()
        );
    }
    Ok(())
}

#[test]
#[ignore = "needs the other toolchains"]
fn a_published_example_adds_its_configuration_to_the_response() -> Tested {
    for plugin in examples("http_config") {
        let mut host = Host::with(plugin.config("my text"))?;
        let exchange = host.send(Request::get("/"))?;
        let header = exchange.response().headers().get("custom-header");
        assert_eq!(header, Some(&b"my text"[..]));
    }
    Ok(())
}

#[test]
#[ignore = "needs the other toolchains"]
fn a_published_example_rewrites_a_body_that_says_secret() -> Tested {
    for plugin in examples("http_body") {
        let mut host = Host::with(plugin)?;
        host.upstream(|_| Response::new(200).chunk("this is se").chunk("cret"));
        let exchange = host.send(Request::get("/"))?;
        assert_eq!(
            exchange.response().body(),
            b"Original message body (14 bytes) redacted."
        );
        host.upstream(|_| Response::new(200).body("plain"));
        assert_eq!(host.send(Request::get("/"))?.response().body(), b"plain");
    }
    Ok(())
}

#[test]
#[ignore = "needs the other toolchains"]
fn a_published_example_asks_another_cluster_first() -> Tested {
    for plugin in examples("http_auth_random") {
        for (byte, status) in [(2_u8, 200), (3, 403)] {
            let mut host = Host::builder()
                .plugin(plugin.clone())
                .cluster("httpbin", move |_: &_| Response::new(200).body([byte]))
                .start()?;
            let exchange = host.send(Request::get("/"))?;
            assert_eq!(exchange.response().status(), status);
            let powered = exchange.response().headers().get("powered-by");
            assert_eq!(powered, Some(&b"proxy-wasm"[..]));
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs the other toolchains"]
fn the_example_in_an_sdks_readme_greets() -> Tested {
    let plugin = module("assemblyscript-readme").root_id("add_header");
    let mut host = Host::with(plugin.clone().config("my text"))?;
    let exchange = host.send(Request::get("/"))?;
    let header = exchange.response().headers().get("hello");
    assert_eq!(header, Some(&b"my text"[..]));

    // Its SDK reads the null pointer of an empty configuration; in Envoy it fails in the same words.
    let error = Host::with(plugin).expect_err("the SDK fails");
    let printed = format!("{error:?}");
    assert!(
        printed.contains("Uncaught RuntimeError: memory access out of bounds"),
        "{printed}"
    );
    assert!(
        printed.contains("Function: proxy_on_configure failed"),
        "{printed}"
    );
    Ok(())
}
