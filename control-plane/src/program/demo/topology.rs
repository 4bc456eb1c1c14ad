//! The topology of `docker-compose.yml`, with the addresses of this machine.

use std::net::SocketAddr;

/// The configuration of its Envoy.
const ENVOY: &str = include_str!("../../../../envoy-configs/compose/envoy.yaml");
const PROMETHEUS: &str = include_str!("../../../../envoy-configs/compose/prometheus.yaml");
const DATASOURCES: &str =
    include_str!("../../../../envoy-configs/compose/grafana/datasources/prometheus.yaml");
const DASHBOARDS: &str =
    include_str!("../../../../envoy-configs/compose/grafana/dashboards/attache.yaml");

/// What both Prometheus and Grafana read, by file name.
pub(super) const RULES: [(&str, &str); 2] = [
    (
        "metrics-alerts.yaml",
        include_str!("../../../../envoy-configs/prometheus/metrics-alerts.yaml"),
    ),
    (
        "control-plane-alerts.yaml",
        include_str!("../../../../envoy-configs/prometheus/control-plane-alerts.yaml"),
    ),
];
pub(super) const DASHBOARD: (&str, &str) = (
    "metrics-dashboard.json",
    include_str!("../../../../envoy-configs/prometheus/metrics-dashboard.json"),
);

/// The rollouts, by file name.
pub(super) const ROLLOUTS: [(&str, &str); 3] = [
    (
        "auth-scrub.yaml",
        include_str!("../../../../envoy-configs/compose/rollouts/auth-scrub.yaml"),
    ),
    (
        "metrics.yaml",
        include_str!("../../../../envoy-configs/compose/rollouts/metrics.yaml"),
    ),
    (
        GREETING,
        include_str!("../../../../envoy-configs/compose/rollouts/greeting.yaml"),
    ),
];
/// The file to change.
pub(super) const GREETING: &str = "greeting.yaml";

/// The filters that are built for them, by package.
pub(super) const PACKAGES: [&str; 3] = ["auth-scrub", "metrics", "add-header"];

/// A rollout whose module is beside its folder.
pub(super) fn rollout(text: &str) -> String {
    text.replace("module: /modules/", "module: ../modules/")
}

/// The same with another word.
pub(super) fn with_word(text: &str, word: &str) -> String {
    let lines = text
        .lines()
        .map(|line| match line.split_once("name: x-greeting, value: ") {
            Some((before, _)) => format!("{before}name: x-greeting, value: {word} }}\n"),
            None => format!("{line}\n"),
        });
    lines.collect()
}

/// Where the parts are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) admin: SocketAddr,
    pub(super) listener: SocketAddr,
    pub(super) discovery: SocketAddr,
    pub(super) upstream: SocketAddr,
}

fn yaml(address: SocketAddr) -> String {
    format!(
        "{{ address: {}, port_value: {} }}",
        address.ip(),
        address.port()
    )
}

/// A line of the listener.
const DIRECTION: &str = "traffic_direction: INBOUND";

/// The bootstrap of Envoy.
pub(super) fn envoy(addresses: &Addresses) -> String {
    let port = addresses.admin.port();
    let named = [
        ("{ address: 0.0.0.0, port_value: 9901 }", addresses.admin),
        ("{ address: 0.0.0.0, port_value: 8080 }", addresses.listener),
        (
            "{ address: control-plane, port_value: 18000 }",
            addresses.discovery,
        ),
        ("{ address: echo, port_value: 80 }", addresses.upstream),
    ];
    let text = named
        .iter()
        .fold(ENVOY.to_owned(), |text, (name, address)| {
            text.replace(name, &yaml(*address))
        });
    text.replace("admin_port: 9901", &format!("admin_port: {port}"))
        .replace("type: STRICT_DNS", "type: STATIC")
        // Or another Envoy on this machine could listen on the same port, and take half of the requests.
        .replace(
            DIRECTION,
            &format!("{DIRECTION}\n      enable_reuse_port: false"),
        )
}

/// The configuration of Prometheus, with its rules in this folder.
pub(super) fn prometheus(rules: &str, envoy: SocketAddr, control_plane: SocketAddr) -> String {
    PROMETHEUS
        .replace("/etc/attache", rules)
        .replace("envoy:9901", &envoy.to_string())
        .replace("control-plane:18001", &control_plane.to_string())
}

/// What Grafana shows: where its data are, and its dashboards in this folder.
pub(super) fn grafana(dashboards: &str, prometheus: SocketAddr) -> [(&'static str, String); 2] {
    let data = DATASOURCES.replace("prometheus:9090", &prometheus.to_string());
    [
        ("datasources/prometheus.yaml", data),
        (
            "dashboards/attache.yaml",
            DASHBOARDS.replace("/dashboards", dashboards),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn nothing_is_left_that_only_containers_know() {
        let envoy = envoy(&Addresses {
            admin: address(1),
            listener: address(2),
            discovery: address(3),
            upstream: address(4),
        });
        for port in 1..=4 {
            let wanted = format!("{{ address: 127.0.0.1, port_value: {port} }}");
            assert_eq!(envoy.matches(&wanted).count(), 1, "{port}");
        }
        assert!(envoy.contains("admin_port: 1 "));
        assert!(envoy.contains("\n      enable_reuse_port: false\n"));
        for name in [
            "0.0.0.0",
            "STRICT_DNS",
            "address: echo",
            "address: control-plane",
        ] {
            assert!(!envoy.contains(name), "{name}");
        }
        let prometheus = prometheus("/rules", address(1), address(2));
        assert!(
            prometheus.contains("[\"127.0.0.1:1\"]") && prometheus.contains("[\"127.0.0.1:2\"]")
        );
        assert_eq!(prometheus.matches("/rules/").count(), RULES.len());
        let [(_, data), (_, boards)] = grafana("/boards", address(3));
        assert!(data.contains("http://127.0.0.1:3\n") && boards.contains("path: /boards\n"));
    }

    #[test]
    fn every_rollout_has_a_module_that_is_built() {
        for (file, text) in ROLLOUTS {
            let text = rollout(text);
            let (_, rest) = text.split_once("module: ../modules/").unwrap();
            let module = rest.split(".wasm").next().unwrap();
            assert!(PACKAGES.contains(&module), "{file}");
        }
        let text = with_word(ROLLOUTS[2].1, "two");
        assert!(
            text.contains("- { name: x-greeting, value: two }\n"),
            "{text}"
        );
    }
}
