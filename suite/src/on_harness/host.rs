//! The host that a case is played on.

use attache_harness::{Attributes, Codec, FailurePolicy, Host, HostBuilder, Plugin, Response};

use super::{cluster, message, tcp};
use crate::case::{Case, Filter, MARK, Policy, Protocol};

/// The chain of a case of TCP.
const TCP: &str = "tcp";

/// The host that a case is played on.
pub(super) fn describe(case: &Case) -> HostBuilder {
    let mut builder = Host::builder()
        .envoy_version(case.envoy)
        .keep_appointments()
        .count_phases()
        .workers(case.workers as usize);
    if case.protocols.upstream == Protocol::Http2 {
        builder = builder.upstream_codec(Codec::Http2);
    }
    if let Some(limit) = case.buffer_limit {
        builder = builder.buffer_limit(limit as usize);
    }
    let upgrades = case.upgrades.iter();
    builder = upgrades.fold(builder, HostBuilder::upgrade);
    if !case.route_metadata.is_empty() {
        let metadata = case.route_metadata.clone().into_iter();
        let attributes = metadata.fold(Attributes::default(), |attributes, (name, fields)| {
            attributes.route_metadata(name, fields)
        });
        builder = builder.attributes(attributes);
    }
    let filters = case.filters.iter().map(|filter| {
        let plugin = plugin(filter);
        match case.reloads(&filter.name) {
            true => plugin.discovered(),
            false => plugin,
        }
    });
    builder = match case.tcp {
        Some(_) => builder.tcp_chain(TCP, filters),
        None => filters.fold(builder, HostBuilder::plugin),
    };
    builder = entries(builder, case);
    for (name, answer) in &case.clusters {
        builder = builder.cluster(name, cluster::answer(answer));
    }
    builder
}

/// Has the upstream answer.
pub(super) fn serve(host: &mut Host, case: &Case) {
    if let Some(upstream) = &case.tcp {
        tcp::upstream(host, upstream);
        return;
    }
    let answers = case.clone();
    if case.is_refused() {
        // Nobody waits for the whole request where nobody listens.
        host.cluster("upstream", Response::refused());
        return;
    }
    host.upstream(move |request| {
        let mark = request.headers().get(MARK).unwrap_or(b"0");
        let number = std::str::from_utf8(mark)
            .ok()
            .and_then(|number| number.parse().ok());
        let answer = answers.answer_to(number.unwrap_or(0));
        let head = request.method() == b"HEAD";
        message::response(answer, answers.protocols.upstream, head)
    });
}

fn entries(mut builder: HostBuilder, case: &Case) -> HostBuilder {
    let entries = &case.entries;
    let loggers = entries.access_loggers.iter().map(plugin);
    builder = match case.tcp {
        Some(_) => builder.tcp_access_loggers(TCP, loggers),
        None => loggers.fold(builder, HostBuilder::access_logger),
    };
    if case.filters.is_empty() && entries.access_loggers.is_empty() && case.tcp.is_none() {
        builder = builder.http_chain("empty", []);
    }
    for service in &entries.services {
        let plugin = plugin(&service.plugin);
        builder = if service.singleton {
            builder.singleton_service(plugin)
        } else {
            builder.service(plugin)
        };
    }
    for sink in &entries.stats_sinks {
        builder = builder.stats_sink(plugin(sink));
    }
    match entries.stats_flush_interval {
        Some(interval) => builder.stats_flush_interval(interval),
        None => builder,
    }
}

pub(super) fn plugin(filter: &Filter) -> Plugin {
    let mut plugin = Plugin::from_file(&filter.module)
        .name(&filter.name)
        .root_id(&filter.root_id)
        .vm_id(&filter.vm_id)
        .failure_policy(match filter.policy {
            Policy::Closed => FailurePolicy::FailClosed,
            Policy::Open => FailurePolicy::FailOpen,
            Policy::Reload => FailurePolicy::FailReload,
        });
    if let Some(configuration) = &filter.configuration {
        plugin = plugin.config(configuration.as_str());
    }
    if let Some(configuration) = &filter.vm_configuration {
        plugin = plugin.vm_config(configuration.as_str());
    }
    for (key, value) in &filter.environment {
        plugin = plugin.environment(key, value);
    }
    if filter.allow_on_headers_stop_iteration {
        plugin = plugin.allow_on_headers_stop_iteration();
    }
    if !filter.allowed_capabilities.is_empty() {
        plugin = plugin.allowed_capabilities(&filter.allowed_capabilities);
    }
    plugin
}
