use attache_harness::{Host, HostError, Request, Response};

use crate::guest::{Guest, guest, said, trace, transparent};

type Tested = Result<(), HostError>;

pub(crate) fn chain(a: &Guest, b: &Guest, c: &Guest) -> Host {
    let builder = Host::builder()
        .plugin(a.plugin("A"))
        .plugin(b.plugin("B"))
        .plugin(c.plugin("C"));
    builder.start().expect("three guests start")
}

#[test]
fn responses_visit_the_filters_in_reverse_and_the_log_comes_first_at_the_end() -> Tested {
    let each = transparent();
    let mut host = chain(&each, &each, &each);
    host.upstream(|_| Response::ok().chunk("x"));
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        trace(&exchange),
        "A:create A:rqh B:create B:rqh C:create C:rqh C:rsh B:rsh A:rsh C:rsb B:rsb A:rsb C:rsb B:rsb A:rsb \
         A:log B:log C:log A:done A:delete B:done B:delete C:done C:delete"
    );
    Ok(())
}

#[test]
fn a_filter_sees_what_the_one_before_it_wrote() -> Tested {
    let writes = guest().on(
        "request_headers",
        "(call $add_header_map_value (i32.const 0) s(x-seen) s(yes)) drop i32.const 0",
    );
    let reads = guest().on(
        "request_headers",
        "(call $tell (call $get_header_map_value (i32.const 0) s(x-seen) ret)) i32.const 0",
    );
    let exchange = chain(&writes, &reads, &guest()).send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["0", "yes"]);
    Ok(())
}

#[test]
fn plugins_have_vms_of_their_own_unless_they_share_a_vm_id() -> Tested {
    let guest = guest().on("context_create", "(call $say (local.get $ctx))");
    let mut apart = Host::builder()
        .plugin(guest.plugin("A"))
        .plugin(guest.plugin("B"))
        .start()?;
    assert_eq!(said(apart.send(Request::get("/"))?.log()), ["2", "2"]);

    let plugin = |name| guest.plugin(name).vm_id("shared");
    let mut together = Host::builder()
        .plugin(plugin("A"))
        .plugin(plugin("B"))
        .start()?;
    assert_eq!(said(together.send(Request::get("/"))?.log()), ["3", "4"]);
    Ok(())
}

#[test]
fn trailers_that_a_body_callback_adds_reach_only_the_filters_behind() -> Tested {
    let adds = guest()
        .on(
            "request_body",
            "(drop (call $add_header_map_value (i32.const 1) s(t) s(1))) i32.const 0",
        )
        .on("request_trailers", "unreachable");
    let exchange =
        chain(&transparent(), &adds, &transparent()).send(Request::post("/").chunk("x"))?;
    let requests: Vec<String> = trace(&exchange)
        .split(' ')
        .filter(|call| call.contains(":rq"))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        requests,
        [
            "A:rqh", "C:rqh", "A:rqb", "B:rqb", "C:rqb", "A:rqb", "B:rqb", "C:rqb", "C:rqt"
        ]
    );
    let shown = exchange.timeline().to_string();
    assert!(
        shown.contains("C: proxy_on_request_body(2, 0, 0)"),
        "C is not told of the end:\n{shown}"
    );
    Ok(())
}
