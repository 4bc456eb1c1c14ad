mod entries;

use std::net::SocketAddr;

use super::{
    Bootstrap, Codec, Endpoint, FilterSource, Identity, Listener, Proxy, RequestId, ServerHeader,
    Trailers,
};
use crate::access_log;
use crate::plugin::{EntryPoint, NotUtf8, utf8};
use crate::tap;
use crate::yaml::{Yaml, quoted};

const TYPE: &str = "\"@type\": type.googleapis.com/";

pub(super) fn render(bootstrap: &Bootstrap) -> Result<String, NotUtf8> {
    let mut yaml = Yaml::default();
    yaml.line("# Start it by hand with: envoy --config-path FILE");
    yaml.line(
        "# Envoy explains every field: https://www.envoyproxy.io/docs/envoy/latest/api-v3/api",
    );
    yaml.line("");
    yaml.line("# Who this Envoy is; discovery asks for it.");
    yaml.line(&node(&bootstrap.node));
    yaml.line("");
    yaml.line("# Statistics, the log level and the running configuration are here.");
    yaml.within("admin:", |yaml| address(yaml, bootstrap.admin));
    yaml.line("");
    let mut done = entries::render(&mut yaml, bootstrap);
    yaml.within("static_resources:", |yaml| {
        yaml.within("listeners:", |yaml| {
            let listeners = &mut bootstrap.listeners.iter();
            if done.is_ok() {
                done = listeners.try_for_each(|each| listener(yaml, each));
            }
        });
        let kept = bootstrap
            .listeners
            .iter()
            .any(|each| each.trailers == Trailers::Kept);
        yaml.within("clusters:", |yaml| {
            let http1 = kept.then_some("http_protocol_options: { enable_trailers: true }");
            let options = |codec| match codec {
                Codec::Http2 => Some("http2_protocol_options: {}"),
                Codec::Http1 => http1,
            };
            let codec = options(bootstrap.upstream_codec);
            cluster(yaml, "upstream", &bootstrap.upstream, codec);
            for (name, other) in &bootstrap.clusters {
                cluster(yaml, name, &other.endpoint, options(other.codec));
            }
        });
    });
    done.map(|()| yaml.finish())
}

fn node(node: &Identity) -> String {
    let word = |text: &str| match text {
        "attache" => text.to_owned(),
        text => quoted(text),
    };
    let metadata = match &node.metadata {
        metadata if metadata.is_empty() => String::new(),
        // JSON is YAML; what has a text for every key has one for itself.
        metadata => serde_json::to_string(metadata)
            .map_or_else(|_| String::new(), |json| format!(", metadata: {json}")),
    };
    let (id, cluster) = (word(&node.id), word(&node.cluster));
    format!("node: {{ id: {id}, cluster: {cluster}{metadata} }}")
}

fn address(yaml: &mut Yaml, address: SocketAddr) {
    let (host, port) = (quoted(&address.ip().to_string()), address.port());
    yaml.within("address:", |yaml| {
        yaml.line(&format!(
            "socket_address: {{ address: {host}, port_value: {port} }}"
        ));
    });
}

fn listener(yaml: &mut Yaml, listener: &Listener) -> Result<(), NotUtf8> {
    let mut done = Ok(());
    yaml.within(&format!("- name: {}", quoted(&listener.name)), |yaml| {
        address(yaml, listener.address);
        if !listener.reuse_port {
            yaml.line(
                "# Otherwise a second Envoy could take half of the connections of this port.",
            );
            yaml.line("enable_reuse_port: false");
        }
        if let Some(limit) = listener.buffer_limit {
            yaml.line("# More body than this cannot be held back by a filter.");
            yaml.line(&format!("per_connection_buffer_limit_bytes: {limit}"));
        }
        yaml.within("filter_chains:", |yaml| {
            yaml.within("- filters:", |yaml| {
                if let Proxy::Tcp { cluster } = &listener.proxy {
                    done = entries::tcp(yaml, listener, cluster);
                    return;
                }
                yaml.within(
                    "- name: envoy.filters.network.http_connection_manager",
                    |yaml| {
                        yaml.within("typed_config:", |yaml| {
                            done = connection_manager(yaml, listener)
                        });
                    },
                );
            });
        });
    });
    done
}

fn connection_manager(yaml: &mut Yaml, listener: &Listener) -> Result<(), NotUtf8> {
    yaml.line(&format!(
        "{TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    ));
    yaml.field("stat_prefix", &listener.name);
    yaml.line("codec_type: AUTO");
    if listener.request_id == RequestId::Untouched {
        yaml.line("generate_request_id: false");
    }
    if listener.server_header == ServerHeader::Untouched {
        yaml.line("server_header_transformation: PASS_THROUGH");
    }
    if let Some(time) = listener.delayed_close {
        let seconds = format!("{}s", time.as_secs_f64());
        yaml.field("delayed_close_timeout", &seconds);
    }
    if listener.trailers == Trailers::Kept {
        yaml.line("http_protocol_options: { enable_trailers: true }");
    }
    if !listener.upgrades.is_empty() {
        yaml.within("upgrade_configs:", |yaml| {
            for protocol in &listener.upgrades {
                yaml.line(&format!("- {{ upgrade_type: {} }}", quoted(protocol)));
            }
        });
    }
    let path = listener.access_log.as_deref().map(utf8).transpose()?;
    let mut done = Ok(());
    if path.is_some() || !listener.access_loggers.is_empty() {
        yaml.within("access_log:", |yaml| {
            if let Some(path) = path {
                access_log::write(yaml, listener, path);
            }
            done = entries::loggers(yaml, listener);
        });
    }
    done?;
    yaml.within("route_config:", |yaml| {
        yaml.within("virtual_hosts:", |yaml| {
            yaml.within("- name: all", |yaml| {
                yaml.line("domains: [\"*\"]");
                yaml.within("routes:", |yaml| {
                    yaml.line(&route(listener));
                });
            });
        });
    });
    let mut done = Ok(());
    yaml.line("# A request passes these from top to bottom, a response from bottom to top.");
    yaml.within("http_filters:", |yaml| {
        done = listener
            .filters
            .iter()
            .try_for_each(|each| filter(yaml, each));
        yaml.line("# The last one sends the request to the upstream.");
        yaml.within("- name: envoy.filters.http.router", |yaml| {
            yaml.within("typed_config:", |yaml| {
                yaml.line(&format!(
                    "{TYPE}envoy.extensions.filters.http.router.v3.Router"
                ));
            });
        });
    });
    done
}

fn route(listener: &Listener) -> String {
    let metadata = match &listener.route_metadata {
        metadata if metadata.is_empty() => String::new(),
        // JSON is YAML; what has a text for every key has one for itself.
        metadata => serde_json::to_string(metadata).map_or_else(
            |_| String::new(),
            |json| format!(", metadata: {{ filter_metadata: {json} }}"),
        ),
    };
    format!("- {{ match: {{ prefix: / }}, route: {{ cluster: upstream }}{metadata} }}")
}

fn filter(yaml: &mut Yaml, filter: &FilterSource) -> Result<(), NotUtf8> {
    let mut done = Ok(());
    match filter {
        FilterSource::Static(plugin) => {
            yaml.within(&format!("- name: {}", quoted(&plugin.name)), |yaml| {
                done = plugin.write(yaml, EntryPoint::HttpFilter)
            });
        }
        FilterSource::Discovered(discovered) => {
            yaml.within(&format!("- name: {}", quoted(discovered.name())), |yaml| {
                done = discovered.refer(yaml)
            });
        }
        FilterSource::Served { name, cluster } => {
            yaml.within(&format!("- name: {}", quoted(name)), |yaml| {
                served(yaml, cluster)
            });
        }
        FilterSource::Native(native) => native.write(yaml),
        FilterSource::Tap(name) => tap::write(yaml, name),
    }
    done
}

/// A filter's `config_discovery`, which refers to a control plane.
fn served(yaml: &mut Yaml, cluster: &str) {
    yaml.line(
        "# Envoy asks a control plane for this filter, and is sent another one when there is one.",
    );
    yaml.within("config_discovery:", |yaml| {
        yaml.within("config_source:", |yaml| {
            yaml.line("resource_api_version: V3");
            yaml.within("api_config_source:", |yaml| {
                yaml.line("api_type: GRPC");
                yaml.line("transport_api_version: V3");
                let service = format!("{{ envoy_grpc: {{ cluster_name: {} }} }}", quoted(cluster));
                yaml.line(&format!("grpc_services: [{service}]"));
            });
        });
        yaml.line("type_urls: [type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm]");
    });
}

fn cluster(yaml: &mut Yaml, name: &str, upstream: &Endpoint, options: Option<&str>) {
    let name = if name == "upstream" {
        name.to_owned()
    } else {
        quoted(name)
    };
    yaml.within(&format!("- name: {name}"), |yaml| {
        if upstream.is_address() {
            yaml.line("type: STATIC");
        } else {
            yaml.line("type: LOGICAL_DNS");
            yaml.line("# A name such as localhost has two addresses, and a server may listen on one of them.");
            yaml.line("dns_lookup_family: ALL");
        }
        yaml.line("connect_timeout: 5s");
        if let Some(options) = options {
            yaml.within("typed_extension_protocol_options:", |yaml| {
                yaml.within(
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions:",
                    |yaml| {
                        yaml.line(&format!(
                            "{TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
                        ));
                        yaml.line(&format!("explicit_http_config: {{ {options} }}"));
                    },
                );
            });
        }
        yaml.within("load_assignment:", |yaml| {
            yaml.line(&format!("cluster_name: {name}"));
            yaml.within("endpoints:", |yaml| {
                yaml.within("- lb_endpoints:", |yaml| {
                    let (host, port) = (quoted(upstream.host()), upstream.port());
                    let socket = format!("{{ address: {host}, port_value: {port} }}");
                    yaml.line(&format!(
                        "- endpoint: {{ address: {{ socket_address: {socket} }} }}"
                    ));
                });
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::Service;
    use crate::native::NativeFilter;
    use crate::plugin::Plugin;

    #[test]
    fn a_configuration_reads_as_the_golden_one() {
        let mut plain = Listener::new("plain");
        plain.access_log = Some("/run/access.log".into());
        let mut filtered = Listener::new("100%\n");
        filtered.address = "127.0.0.1:10000".parse().unwrap();
        filtered.buffer_limit = Some(65_536);
        filtered.trailers = Trailers::Kept;
        filtered.request_id = RequestId::Untouched;
        filtered.server_header = ServerHeader::Untouched;
        filtered.access_log = Some("/run/access.log".into());
        let plugin =
            Plugin::new("auth-scrub", "/m/a.wasm").configured("{\n  \"header\": [\"x-key\"]\n}");
        let discovered = crate::Discovered::new("reloaded", "/run/plugins");
        filtered.filters = vec![
            FilterSource::Static(plugin),
            FilterSource::Discovered(discovered),
            FilterSource::Served {
                name: "served".into(),
                cluster: "control-plane".into(),
            },
            FilterSource::Native(NativeFilter::lua(
                "function envoy_on_request(handle)\nend\n",
            )),
        ];
        filtered.access_loggers = vec![Plugin::new("logger", "/m/a.wasm")];
        let mut bytes = Listener::new("bytes");
        bytes.proxy = Proxy::Tcp {
            cluster: "upstream".to_owned(),
        };
        bytes.filters = vec![FilterSource::Static(Plugin::new("bytes", "/m/a.wasm"))];
        bytes.access_loggers = vec![Plugin::new("logger", "/m/a.wasm")];
        let upstream = "example.org:80".parse().unwrap();
        let mut bootstrap = Bootstrap::new(upstream, vec![plain, filtered, bytes]);
        bootstrap.services = vec![
            Service::Singleton(Plugin::new("one", "/m/a.wasm")),
            Service::Threads(Plugin::new("each", "/m/a.wasm")),
        ];
        bootstrap.stats_sinks = vec![Plugin::new("sink", "/m/a.wasm")];
        bootstrap.stats_flush_interval = Some(std::time::Duration::from_millis(1_500));
        let yaml = render(&bootstrap).unwrap();

        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/bootstrap.yaml");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(golden, &yaml).unwrap();
        }
        assert_eq!(
            yaml,
            std::fs::read_to_string(golden).unwrap(),
            "BLESS=1 rewrites {golden}"
        );
    }
}
