mod heads {
    attache_suite::suite!("tests/heads.suite.yaml");
}

mod held {
    attache_suite::suite!("tests/held.suite.yaml");
}

mod sent {
    attache_suite::suite!("tests/sent.suite.yaml");
}
