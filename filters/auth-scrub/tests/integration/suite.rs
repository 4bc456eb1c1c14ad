attache_suite::suite!("tests/auth-scrub.suite.yaml");
