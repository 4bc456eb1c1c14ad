mod defaults {
    attache_suite::suite!("tests/auth-scrub.suite.yaml");
}

mod values {
    attache_suite::suite!("tests/values.suite.yaml");
}

mod destinations {
    attache_suite::suite!("tests/destinations.suite.yaml");
}

mod identity {
    attache_suite::suite!("tests/identity.suite.yaml");
}

mod chain {
    attache_suite::suite!("tests/chain.suite.yaml");
}

mod disguises {
    attache_suite::suite!("tests/disguises.suite.yaml");
}
