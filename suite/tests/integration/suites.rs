//! Suites of the runner's own.

mod sdk_requests {
    attache_suite::suite!("tests/suites/sdk-requests.suite.yaml");
}

mod steps {
    attache_suite::suite!("tests/suites/steps.suite.yaml");
}

mod upstreams {
    attache_suite::suite!("tests/suites/upstreams.suite.yaml");
}

mod ends {
    attache_suite::suite!("tests/suites/ends.suite.yaml");
}

mod calls {
    attache_suite::suite!("tests/suites/calls.suite.yaml");
}

mod capabilities {
    attache_suite::suite!("tests/suites/capabilities.suite.yaml");
}

mod grpc {
    attache_suite::suite!("tests/suites/grpc.suite.yaml");
}

mod entry_points {
    attache_suite::suite!("tests/suites/entry-points.suite.yaml");
}

mod tcp {
    attache_suite::suite!("tests/suites/tcp.suite.yaml");
}

mod reload {
    attache_suite::suite!("tests/suites/reload.suite.yaml");
}

mod kept_properties {
    attache_suite::suite!("tests/suites/kept-properties.suite.yaml");
}

mod connections {
    attache_suite::suite!("tests/suites/connections.suite.yaml");
}

mod sdk_state {
    attache_suite::suite!("tests/suites/sdk-state.suite.yaml");
}

mod sdk_refusals {
    attache_suite::suite!("tests/suites/sdk-refusals.suite.yaml");
}

mod sdk_transforms {
    attache_suite::suite!("tests/suites/sdk-transforms.suite.yaml");
}

mod sdk_collected {
    attache_suite::suite!("tests/suites/sdk-collected.suite.yaml");
}

mod sdk_held {
    attache_suite::suite!("tests/suites/sdk-held.suite.yaml");
}

mod sdk_ends {
    attache_suite::suite!("tests/suites/sdk-ends.suite.yaml");
}

mod sdk_upgrades {
    attache_suite::suite!("tests/suites/sdk-upgrades.suite.yaml");
}
