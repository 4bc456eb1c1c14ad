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
