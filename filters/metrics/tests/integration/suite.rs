attache_suite::suite!("tests/metrics.suite.yaml");

mod streams {
    attache_suite::suite!("tests/streams.suite.yaml");
}

mod grpc {
    attache_suite::suite!("tests/grpc.suite.yaml");
}
