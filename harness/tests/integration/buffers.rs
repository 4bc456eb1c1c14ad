use attache_harness::{Host, HostError, Request, Response};

use crate::guest::{guest, said};

type Tested = Result<(), HostError>;

/// Tells what buffer 0 holds.
const ASK: &str =
    "(call $tell (call $get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 999) ret))";

#[test]
fn a_body_is_seen_in_its_callback_and_clamped_to_its_size() -> Tested {
    let guest = guest().on(
        "request_body",
        "(if (local.get $eos) (then (return (i32.const 0))))
         (call $tell (call $get_buffer_bytes (i32.const 0) (i32.const 1) (i32.const 2) ret))
         (call $tell (call $get_buffer_bytes (i32.const 0) (i32.const 2) (i32.const -1) ret))
         (call $tell (call $get_buffer_bytes (i32.const 0) (i32.const 99) (i32.const 1) ret))
         (call $say (call $get_buffer_status (i32.const 0) (i32.const 24) (i32.const 28)))
         (call $say (i32.load (i32.const 24))) (call $say (i32.load (i32.const 28)))
         i32.const 0",
    );
    let exchange = guest.host().send(Request::post("/").body("body"))?;
    assert_eq!(
        said(exchange.log()),
        ["0", "od", "0", "dy", "0", "null", "0", "4", "0"]
    );
    Ok(())
}

#[test]
fn outside_of_its_phase_a_body_is_empty_and_cannot_be_written() -> Tested {
    let body = format!(
        "{ASK} (call $say (call $set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 0) s(new)))
         (call $tell (call $get_buffer_bytes (i32.const 1) (i32.const 0) (i32.const 9) ret))"
    );
    let guest = guest()
        .on("request_headers", &format!("{body} i32.const 0"))
        .on("log", &body);
    let exchange = guest.host().send(Request::post("/").body("body"))?;
    let expected = ["0", "null", "2", "0", "null"];
    assert_eq!(said(exchange.log()), [expected, expected].concat());
    Ok(())
}

#[test]
fn buffers_of_calls_and_configuration_answer_by_the_table() -> Tested {
    let each = (2..=9)
        .filter(|kind| *kind != 8)
        .map(|kind| {
            format!(
                "(call $tell (call $get_buffer_bytes (i32.const {kind}) (i32.const 0) (i32.const 9) ret))
                 (call $say (call $set_buffer_bytes (i32.const {kind}) (i32.const 0) (i32.const 0) s(x)))"
            )
        })
        .collect::<String>();
    let guest = guest().on("request_headers", &format!("{each} i32.const 0"));
    let mut host =
        attache_harness::Host::with(guest.plugin("guest").vm_config("vm").config("plugin"))?;
    let exchange = host.send(Request::get("/"))?;
    #[rustfmt::skip]
    let expected = [
        "0", "null", "2", // downstream data
        "0", "null", "2", // upstream data
        "1", "-", "1", // HTTP call body
        "0", "null", "2", // gRPC message
        "0", "vm", "2", // VM configuration
        "1", "-", "1", // plugin configuration, outside of configure
        "2", "-", "2", // unknown
    ];
    assert_eq!(said(exchange.log()), expected);
    Ok(())
}

#[test]
fn a_body_can_be_prepended_replaced_appended_and_deleted() -> Tested {
    for (call, expected) in [
        ("(i32.const 0) (i32.const 0) s(any)", "anybody"),
        ("(i32.const 0) (i32.const 1) s(n)", "nody"),
        ("(i32.const 0) (i32.const 99) s(new)", "new"),
        ("(i32.const 0) (i32.const 4) s()", ""),
        ("(i32.const 4) (i32.const 0) s(guard)", "bodyguard"),
    ] {
        let guest = guest().on(
            "request_body",
            &format!(
                "(if (local.get $eos) (then (return (i32.const 0))))
                 (call $say (call $set_buffer_bytes (i32.const 0) {call})) i32.const 0"
            ),
        );
        let exchange = guest.host().send(Request::post("/").chunk("body"))?;
        assert_eq!(said(exchange.log()), ["0"], "{call}");
        assert_eq!(
            exchange.upstream_request().body(),
            expected.as_bytes(),
            "{call}"
        );
    }
    Ok(())
}

#[test]
fn data_can_be_added_in_the_last_empty_callback() -> Tested {
    let guest = guest().on(
        "response_body",
        "(if (local.get $eos)
           (then (drop (call $set_buffer_bytes (i32.const 1) (i32.const 0) (i32.const 0) s(!)))))
         i32.const 0",
    );
    let mut host = guest.host();
    host.upstream(|_| Response::ok().chunk("one").chunk("two"));
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(exchange.response().body(), b"onetwo!");
    Ok(())
}

#[test]
fn a_changed_body_under_its_old_content_length_fails_the_exchange() {
    let guest = guest().on(
        "request_body",
        "(drop (call $set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 99) s())) i32.const 0",
    );
    let error = guest
        .host()
        .send(Request::post("/").body("body"))
        .expect_err("the upstream would hang");
    let text = error.to_string();
    assert!(
        text.contains("the request declares `content-length: 4` and carries 0 bytes"),
        "{text}"
    );
    assert!(
        text.contains("proxy_set_buffer_bytes(0, 0, 99, \"\") = 0 Ok"),
        "{text}"
    );
}

#[test]
fn the_configurations_are_read_where_they_are_offered() -> Tested {
    let ask = "(call $tell (call $get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 99) ret))
               (call $tell (call $get_buffer_bytes (i32.const 6) (i32.const 0) (i32.const 99) ret))";
    let guest = guest()
        .on(
            "context_create",
            &format!("(if (i32.eqz (local.get $n)) (then {ask}))"),
        )
        .on(
            "vm_start",
            &format!("{ask} (call $say (local.get $n)) i32.const 1"),
        )
        .on(
            "configure",
            &format!("{ask} (call $say (local.get $n)) i32.const 1"),
        );
    let plugin = guest
        .plugin("guest")
        .config(serde_json::json!({ "a": 1 }))
        .vm_config("vm");
    let host = attache_harness::Host::with(plugin)?;
    let create = ["0", r#"{"a":1}"#, "0", "vm"];
    let vm_start = ["1", "-", "0", "vm", "2"];
    let configure = ["0", r#"{"a":1}"#, "0", "vm", "7"];
    let one = [&create[..], &vm_start[..], &configure[..]].concat();
    assert_eq!(
        said(host.log()),
        [&one[..], &one[..], &one[..]].concat(),
        "canary, main thread, worker"
    );
    Ok(())
}

/// Envoy keeps a pointer to what it showed a context last.
#[test]
fn buffer_8_shows_again_what_was_shown_last() -> Tested {
    let read = |buffer: u32| {
        format!(
            "(call $tell (call $get_buffer_bytes (i32.const {buffer}) (i32.const 0) (i32.const 99) ret))"
        )
    };
    let (six, seven, eight) = (read(6), read(7), read(8));
    let guest = guest()
        .on("configure", &format!("{eight} {seven} {eight} i32.const 1"))
        .on(
            "request_headers",
            &format!(
                "{eight} {six} {eight} {} {eight} {} {eight} i32.const 0",
                read(0),
                read(7)
            ),
        )
        .on("request_body", &format!("{} {eight} i32.const 0", read(0)));
    let plugin = guest.plugin("guest").config("plugin").vm_config("vm");
    let mut host = Host::with(plugin)?;
    assert_eq!(
        said(&host.log()[..6]),
        ["0", "null", "0", "plugin", "0", "plugin"]
    );
    let exchange = host.send(Request::post("/").chunk("body"))?;
    assert_eq!(
        said(exchange.log()).join(" "),
        "0 null 0 vm 0 vm 0 null 0 null 1 - 0 null 0 body 0 body 0 null 0 null"
    );
    Ok(())
}

/// Envoy 1.40 ended in a segmentation fault.
#[test]
fn buffer_8_of_an_earlier_callback_is_memory_that_envoy_has_freed() -> Tested {
    let read = |buffer: u32| {
        format!(
            "(drop (call $get_buffer_bytes (i32.const {buffer}) (i32.const 0) (i32.const 99) ret)) i32.const 0"
        )
    };
    let guest = guest()
        .on("request_body", &read(0))
        .on("response_headers", &read(8));
    let error = guest.host().send(Request::post("/").body("body"));
    let error = error
        .expect_err("the body was there in its callback only")
        .to_string();
    assert!(error.contains("proxy_get_buffer_bytes(8)"), "{error}");
    Ok(())
}

/// 8 MiB in 16,384 pieces. Were the rest copied at each step, that would be 64 GiB for the reads alone;
/// how much is moved within the host `body.rs` counts.
#[test]
fn a_large_body_in_small_pieces_costs_no_more_than_the_pieces() -> Tested {
    let guest = guest()
        .with("(global $at (mut i32) (i32.const 0))")
        .on(
            "request_body",
            "(if (local.get $eos) (then (return (i32.const 0))))
             (loop $read
               (drop (call $get_buffer_bytes (i32.const 0) (global.get $at) (i32.const 512) ret))
               (global.set $at (i32.add (global.get $at) (i32.const 512)))
               (br_if $read (i32.lt_u (global.get $at) (local.get $n))))
             (i64.store (i32.const 2048) (i64.const 0x3736353433323130))
             (loop $shrink
               (drop (call $set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 512) (i32.const 0) (i32.const 0)))
               (drop (call $set_buffer_bytes (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 2048) (i32.const 4)))
               (drop (call $set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2052) (i32.const 4)))
               (global.set $at (i32.sub (global.get $at) (i32.const 512)))
               (br_if $shrink (global.get $at)))
             i32.const 0",
        );
    let mut host = Host::builder()
        .plugin(guest.plugin("guest"))
        .deadline(std::time::Duration::from_secs(600))
        .start()?;
    const SIZE: usize = 8 << 20;
    let exchange = host.send(Request::post("/").chunk(vec![b'x'; SIZE]))?;
    let steps = SIZE / 512;
    let copied = exchange.cost().bytes_copied;
    assert_eq!(copied, (SIZE + steps * 8) as u64, "by the host calls");
    // Each step took 512 bytes away in front, and added four at either end.
    let sent = exchange.upstream_request().body();
    assert_eq!(sent.len(), SIZE - steps * (512 - 8));
    assert!(sent.starts_with(b"4567") && sent.ends_with(b"0123"));
    Ok(())
}
