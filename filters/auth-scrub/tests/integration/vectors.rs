//! What the specifications' own tests parse: whatever name a parser finds, a rule that names it removes it,
//! and leaves the others. Inputs from web-platform-tests, `url/urlencoded-parser.any.js`, and from
//! `http-state`, `tests/data/parser`.

use attache::Headers;
use auth_scrub::{Config, Offline, Part, Target};
use serde_json::json;

const QUERIES: [&str; 32] = [
    "test",
    "\u{feff}test=\u{feff}",
    "%EF%BB%BFtest=%EF%BB%BF",
    "%EF%BF%BF=%EF%BF%BF",
    "†&†=x",
    "_charset_=windows-1252&test=%C2x",
    "a",
    "a=b",
    "a=",
    "=b&a",
    "&a",
    "a&",
    "a&a",
    "a&b&c",
    "a=b&c=d",
    "a=b&c=d&",
    "&&&a=b&&&&c=d&",
    "a=a&a=b&a=c",
    "a==a",
    "a=a+b+c+d",
    "%=a",
    "%a=a",
    "%a_=a",
    "%61=a",
    "%61+%4d%4D=",
    "id=0&value=%",
    "b=%2sf%2a",
    "b=%2%2af%2a",
    "b=%%2a",
    "a=1&%41=2&A=3",
    "a[]=1&b=2&a%5B%5D=3",
    "x=1?a=2&y=3#a=4",
];

/// Headers `cookie` as browsers of that test send them.
const COOKIES: [&str; 16] = [
    "foo=bar",
    "foo=bar; quux=zap",
    "foo=\"bar\"",
    "foo=bar=baz; a=b",
    "=bar; foo=1",
    "foo; bar=1",
    "foo=; bar=",
    "foo=1; Foo=2; FOO=3",
    "  foo =  bar ;x = y",
    "foo=bar;a=b;;c=d;",
    "$Version=1; foo=bar",
    "foo=a,b; bar=c",
    "!a=1; #b=2",
    "+=1; -a=2; %c=3",
    "\u{6625}=\u{8282}; a=1",
    "a=== b  ;foo;;;   c=\"x;y\"; d=1",
];

fn filter(kind: &str, name: &str) -> Offline {
    let rules = json!({"rules": [{"request": {kind: [{"name": name, "action": "remove"}]}}],
        "name_matching": {"query_ignores_case": false, "cookies_ignore_case": false}});
    let rules = Config::from_json(rules.to_string().as_bytes()).expect("JSON");
    Offline::new(&rules).unwrap_or_else(|refusal| panic!("{name}: {refusal}"))
}

/// Names and values by the URL standard (5.1, `application/x-www-form-urlencoded` parsing).
fn parsed(query: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decoded = |text: &[u8]| {
        let (mut rest, mut bytes) = (text, Vec::new());
        while let [first, more @ ..] = rest {
            let code = more.get(..2).filter(|_| *first == b'%');
            let code = code.and_then(|code| std::str::from_utf8(code).ok());
            let code = code.filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
            rest = if byte.is_some() { &more[2..] } else { more };
            let plain = if *first == b'+' { b' ' } else { *first };
            bytes.push(byte.unwrap_or(plain));
        }
        bytes
    };
    let parts = query.split(|&byte| byte == b'&');
    parts
        .filter(|part| !part.is_empty())
        .map(|part| {
            let sign = part.iter().position(|&byte| byte == b'=');
            let (name, value) = part.split_at(sign.unwrap_or(part.len()));
            (decoded(name), decoded(value.get(1..).unwrap_or_default()))
        })
        .collect()
}

fn query(path: &[u8]) -> &[u8] {
    let path = path.split(|&byte| byte == b'#').next().unwrap_or_default();
    let mark = path.iter().position(|&byte| byte == b'?');
    mark.map_or(b"", |mark| &path[mark + 1..])
}

#[test]
fn each_parameter_that_the_url_standard_finds_is_found() {
    for text in QUERIES {
        let path = format!("/p?{text}");
        let target = Target {
            path: path.as_bytes(),
            ..Target::default()
        };
        let before = parsed(query(path.as_bytes()));
        for (name, _) in &before {
            let Ok(name) = std::str::from_utf8(name) else {
                continue;
            };
            if name.is_empty() {
                continue;
            }
            let after = filter("query_parameters", name).path(&target);
            let after = parsed(query(
                &after.unwrap_or_else(|| panic!("{text}: {name} stays")),
            ));
            let others = before.iter().filter(|(other, _)| other != name.as_bytes());
            assert!(others.eq(after.iter()), "{text} without {name}: {after:?}");
        }
    }
}

#[test]
fn each_cookie_that_a_server_finds_is_found() {
    // RFC 6265, 5.4, the other way round; what has no sign is a name or a value, as one likes.
    let cookies = |line: &[u8]| -> Vec<(String, String)> {
        let line = String::from_utf8_lossy(line).into_owned();
        let pairs = line.split(';').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect()
    };
    for line in COOKIES {
        let before = cookies(line.as_bytes());
        for (name, _) in before.iter().filter(|(name, _)| !name.is_empty()) {
            let mut headers: Headers = [("cookie", line)].into_iter().collect();
            let said =
                filter("cookies", name).scrub(&Target::default(), Part::Request, &mut headers);
            assert_eq!(said, "cookies", "{line} and {name}");
            let left = headers.iter().flat_map(|(_, value)| cookies(value));
            let others = before.iter().filter(|(other, _)| other != name);
            assert!(others.cloned().eq(left), "{line} without {name}");
        }
    }
}
