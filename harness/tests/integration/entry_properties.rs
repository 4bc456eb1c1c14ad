//! Which properties the entry points know: the statuses of an Envoy 1.40, read with these guests.

use attache_harness::{Arrival, Host, HostError, Request, TcpReply};

use crate::guest::{guest, said};

type Tested = Result<(), HostError>;

const PATHS: [&str; 14] = [
    "request.path",
    "request.duration",
    "response.code_details",
    "xds.route_name",
    "xds.cluster_name",
    "xds.filter_chain_name",
    "connection_id",
    "connection.mtls",
    "connection.requested_server_name",
    "connection.termination_details",
    "source.address",
    "upstream.address",
    "plugin_name",
    "filter_state",
];

/// Logs the status of each path.
fn asks() -> String {
    let ask = |path: &str| {
        let path = path.replace('.', "\\00");
        format!("(call $say (call $get_property s({path}) ret))")
    };
    PATHS.map(ask).concat()
}

fn statuses(lines: &[&str]) -> String {
    lines.concat()
}

#[test]
fn a_connection_has_properties_from_its_beginning_to_its_deletion() -> Tested {
    let asks = asks();
    let filter = guest()
        .on("new_connection", &format!("{asks} i32.const 0"))
        .on("downstream_data", &format!("{asks} i32.const 0"))
        .on("done", &format!("{asks} i32.const 1"))
        .on("log", &asks)
        .on("delete", &asks);
    let logger = guest().on("log", &asks);
    let mut host = Host::builder()
        .tcp_chain("tcp", [filter.plugin("filter")])
        .tcp_access_loggers("tcp", [logger.plugin("logger")])
        .start()?;
    host.tcp_upstream(|arrival| match arrival {
        Arrival::Data(_) => TcpReply::none().send_last("bye"),
        _ => TcpReply::none(),
    });
    let id = host.connect()?;
    host.send_data(id, "hello")?;
    host.disconnect(id)?;
    let connection = host.connection(id)?;
    let lines = said(connection.log());
    let phases: Vec<String> = lines.chunks(PATHS.len()).map(statuses).collect();
    let before = "11111000010103";
    let connected = "11110000010003";
    assert_eq!(
        phases,
        [
            before,
            connected,
            connected,
            connected,
            connected,
            "10110010010003"
        ],
        "new, data, done, log, delete, and the access logger, in the order of {PATHS:?}"
    );
    Ok(())
}

#[test]
fn an_access_logger_reads_a_request_and_knows_no_connection_id() -> Tested {
    let logger = guest().on("log", &asks());
    let mut host = Host::builder()
        .access_logger(logger.plugin("logger"))
        .start()?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        statuses(&said(exchange.log())),
        "00000010010003",
        "{PATHS:?}"
    );
    Ok(())
}

#[test]
fn services_and_sinks_have_no_stream_to_ask() -> Tested {
    let asks = format!(
        "{} (call $say (call $set_property s(k) s(v)))
         (call $say (call $continue_stream (i32.const 0))) (call $say (call $continue_stream (i32.const 1)))
         (call $say (call $continue_stream (i32.const 2))) (call $say (call $continue_stream (i32.const 3)))
         (call $say (call $close_stream (i32.const 0))) (call $say (call $close_stream (i32.const 2)))
         (call $say (call $close_stream (i32.const 3))) (call $say (call $close_stream (i32.const 4)))
         (call $say (call $send_local_response (i32.const 500) s() s() s() (i32.const -1)))",
        asks()
    );
    let service = guest()
        .on(
            "configure",
            "(drop (call $set_tick_period_milliseconds (i32.const 100))) i32.const 1",
        )
        .on("tick", &asks);
    let sink = guest().on("envoy_on_stats_update", &asks);
    let mut host = Host::builder()
        .singleton_service(service.plugin("service"))
        .stats_sink(sink.plugin("sink"))
        .start()?;
    host.advance(std::time::Duration::from_millis(100))?;
    host.flush_stats()?;
    let answers: Vec<String> = said(host.log()).chunks(24).map(statuses).collect();
    let none = ENVOY_WITHOUT_STREAM;
    assert_eq!(answers, [none, none]);
    Ok(())
}

/// As Envoy 1.40 answers in a tick of a service and in a stats sink.
const ENVOY_WITHOUT_STREAM: &str = "1111111111110110001200020";
