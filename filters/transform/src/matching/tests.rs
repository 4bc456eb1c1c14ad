use super::*;
use crate::config::PatternConfig;

fn holds(config: &ValueConfig, about: About, values: &[&str]) -> bool {
    let condition = Condition::new(config, about, "/place").expect("a condition");
    condition.holds(values)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn one_of_several_values_is_enough() {
    let exact = ValueConfig {
        exact: some("b"),
        ..ValueConfig::default()
    };
    assert!(holds(&exact, About::Field, &["a", "b"]));
    assert!(!holds(&exact, About::Field, &["a", "B"]));
    assert!(!holds(&exact, About::Field, &[]));
    let inverted = ValueConfig {
        invert_match: true,
        ..exact
    };
    assert!(!holds(&inverted, About::Field, &["a", "b"]));
    assert!(holds(&inverted, About::Field, &[]));
}

#[test]
fn texts_are_compared_in_four_ways_and_in_either_case() {
    let all = |ignore_case| {
        let of = |exact, prefix, suffix, contains| ValueConfig {
            exact,
            prefix,
            suffix,
            contains,
            ignore_case,
            ..ValueConfig::default()
        };
        [
            of(some("aXb"), None, None, None),
            of(None, some("aX"), None, None),
            of(None, None, some("Xb"), None),
            of(None, None, None, some("X")),
        ]
    };
    for config in all(false) {
        assert!(holds(&config, About::Text, &["aXb"]), "{config:?}");
        assert!(!holds(&config, About::Text, &["axb"]), "{config:?}");
    }
    for config in all(true) {
        assert!(holds(&config, About::Text, &["AxB"]), "{config:?}");
        assert!(!holds(&config, About::Text, &["ab"]), "{config:?}");
    }
}

#[test]
fn a_pattern_is_for_all_of_the_value() {
    let pattern = |regex: &str| ValueConfig {
        safe_regex: Some(PatternConfig {
            regex: regex.to_owned(),
        }),
        ..ValueConfig::default()
    };
    assert!(holds(&pattern("a|ab"), About::Text, &["ab"]));
    assert!(!holds(&pattern("a"), About::Text, &["ab"]));
    assert!(!holds(&pattern("a|b"), About::Text, &["xa"]));
    assert!(Condition::new(&pattern("a)|(b"), About::Text, "").is_err());
}

#[test]
fn a_template_is_for_all_of_the_path() {
    let like = |template: &str, path: &str| {
        let config = ValueConfig {
            path_template: some(template),
            ..ValueConfig::default()
        };
        holds(&config, About::Path, &[path])
    };
    for (template, path) in [
        ("/users/{id}", "/users/7"),
        ("/users/*/posts", "/users/7/posts"),
        ("/static/**", "/static/a/b"),
        ("/static/{rest=**}", "/static/"),
        ("/", "/"),
    ] {
        assert!(like(template, path), "{template} {path}");
    }
    for (template, path) in [
        ("/users/{id}", "/users/"),
        ("/users/{id}", "/users/7/"),
        ("/users/{id}", "/users"),
        ("/static/**", "/static"),
        ("/", "*"),
    ] {
        assert!(!like(template, path), "{template} {path}");
    }
    for template in ["users", "/**/a", "/a*", "/{a", "/{a=b*}"] {
        assert!(PathTemplate::parse(template).is_err(), "{template}");
    }
}
