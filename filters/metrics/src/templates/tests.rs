use super::*;

const LIST: [&str; 6] = [
    "/",
    "/users/me",
    "/users/{id}",
    "/users/{id}/orders/{order}",
    "/static/{rest...}",
    "/a.b:c-,+@_",
];

fn of(path: &str) -> Option<&'static str> {
    let position = Templates::new(&LIST).unwrap().position(path.as_bytes())?;
    Some(LIST[position])
}

#[test]
fn the_first_that_fits_names_a_path() {
    for (path, template) in [
        ("/", Some("/")),
        ("/?x=/users/1", Some("/")),
        ("/users/me", Some("/users/me")),
        ("/users/7", Some("/users/{id}")),
        ("/users/7?a=b", Some("/users/{id}")),
        ("/users/%2F", Some("/users/{id}")),
        ("/users/7/orders/9", Some("/users/{id}/orders/{order}")),
        ("/static/", Some("/static/{rest...}")),
        ("/static/a/b/c", Some("/static/{rest...}")),
        ("/a.b:c-,+@_", Some("/a.b:c-,+@_")),
        ("", None),
        ("*", None),
        ("users/7", None),
        ("/users", None),
        ("/users/", None),
        ("/users//orders/9", None),
        ("/users/7/", None),
        ("//users/7", None),
        ("/static", None),
        ("/Users/7", None),
    ] {
        assert_eq!(of(path), template, "{path}");
    }
}

#[test]
fn templates_that_mean_nothing_are_refused() {
    for text in [
        "",
        "users",
        "/{",
        "/}",
        "/{}",
        "/{...}",
        "/{a b}",
        "/{a}b",
        "/a{b}",
        "/{rest...}/x",
        "/a b",
        "/a;b",
        "/é",
        "/{a}{b}",
        "/a?b",
        "/%2F",
        "/a*",
        "/{a=*}",
    ] {
        assert!(Templates::new(&[text]).is_err(), "{text}");
    }
}

#[test]
fn a_template_that_is_never_reached_is_refused() {
    for (first, second) in [
        ("/a", "/a"),
        ("/users/{id}", "/users/{name}"),
        ("/users/{id}", "/users/me"),
        ("/{rest...}", "/"),
        ("/{rest...}", "/users/{id}"),
        ("/static/{rest...}", "/static/{more...}"),
        ("/static/{rest...}", "/static/css/{file}"),
        ("/static/{rest...}", "/static/"),
    ] {
        let refusal = Templates::new(&[first, second]).unwrap_err();
        assert_eq!(refusal.index, 1, "{first} {second}");
        assert!(
            refusal.reason.contains("never reached"),
            "{}",
            refusal.reason
        );
        if first != second {
            // The other way round each has paths of its own, or both have the same.
            let turned = Templates::new(&[second, first]).is_ok();
            let same = ["/users/{name}", "/static/{more...}"].contains(&second);
            assert_eq!(turned, !same, "{second} {first}");
        }
    }
    assert!(Templates::new(&["/a/{x}", "/a/"]).is_ok());
    assert!(Templates::new(&["/{x}/b", "/a/{y}"]).is_ok());
    assert!(Templates::new(&["/a/{x}", "/a/{rest...}"]).is_ok());
}

/// Whatever is said to be covered is never found, over all short paths.
#[test]
fn what_is_covered_has_no_path_of_its_own() {
    const PARTS: [&str; 4] = ["", "a", "b", "{x}"];
    let mut texts = vec!["/{r...}".to_owned()];
    for one in PARTS {
        texts.push(format!("/{one}"));
        texts.push(format!("/{one}/{{r...}}"));
        for two in PARTS {
            texts.push(format!("/{one}/{two}"));
        }
    }
    let words = ["", "a", "b", "c"];
    let mut paths = Vec::new();
    for one in words {
        paths.push(format!("/{one}"));
        for two in words {
            paths.push(format!("/{one}/{two}"));
            paths.extend(words.map(|three| format!("/{one}/{two}/{three}")));
        }
    }
    for first in &texts {
        for second in &texts {
            let (one, two) = (
                Template::parse(first).unwrap(),
                Template::parse(second).unwrap(),
            );
            let reached = paths.iter().any(|path| {
                two.pattern.matches(path.as_bytes()) && !one.pattern.matches(path.as_bytes())
            });
            assert_eq!(
                one.pattern.covers(&two.pattern),
                !reached,
                "{first} {second}"
            );
        }
    }
}
