//! The filter auth-scrub without a host: its parsers one by one, and any configuration.

use attache::Headers;
use auth_scrub::{Config, Offline, Part, Target};

/// What the targets of one parser each are configured with.
const REMOVE: &[u8] = br#"{"rules": [{
    "request": {
        "headers": [{"name": "authorization", "action": "remove"}],
        "cookies": [{"name": "session", "action": "remove"}],
        "query_parameters": [{"name": "token", "action": "remove"}]
    },
    "response": {"set_cookies": [{"name": "session", "action": "remove"}], "location_query": true}
}]}"#;

const TOKEN: &[u8] = br#"{"rules": [{"request": {
    "headers": [{"name": "authorization", "action": "remove", "schemes": ["basic", "bearer"]}],
    "jwt": {"action": "strip_signature", "claims_to_headers": {"sub": "x-user", "n": "x-n"}}
}}]}"#;

const ADDRESSES: &[u8] = br#"{"rules": [{"request": {"client_ip": {"action": "truncate"}}}]}"#;

fn filter(config: &[u8]) -> Offline {
    let config = Config::from_json(config).expect("it is JSON");
    Offline::new(&config).expect("it is a configuration")
}

/// The values that a header has afterwards.
fn after(filter: &Offline, part: Part, name: &str, value: &[u8]) -> Vec<Vec<u8>> {
    let mut headers: Headers = [(name, value)].into_iter().collect();
    filter.scrub(&Target::default(), part, &mut headers);
    let values = headers.all(name);
    values.into_iter().map(<[u8]>::to_vec).collect()
}

/// Its only value afterwards, and whether that is as it came. What is left is left again.
fn once(filter: &Offline, part: Part, name: &str, value: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut left = after(filter, part, name, value);
    let first = left.pop()?;
    assert!(left.is_empty());
    assert_eq!(after(filter, part, name, &first), [&first[..]]);
    let same = first == value;
    Some((first, same))
}

/// A line of cookies: none of the name is left, the others keep their bytes and their order.
pub fn cookies(data: &[u8]) {
    let filter = filter(REMOVE);
    // What HTTP lets through.
    let line = line(data);
    for (part, name) in [
        (Part::Request, "cookie"),
        (Part::RequestTrailers, "cookie"),
        (Part::Response, "set-cookie"),
        (Part::ResponseTrailers, "set-cookie"),
    ] {
        let Some((left, same)) = once(&filter, part, name, &line) else {
            continue;
        };
        assert!(is_part(&left, &line));
        if part == Part::Request || part == Part::RequestTrailers {
            assert!(!left.split(|&byte| byte == b';').any(is_session));
            assert!(!has_session_behind_blank(&left));
        } else {
            assert!(same || !is_session(&line));
            assert!(
                !left
                    .split(|&byte| byte == b';')
                    .next()
                    .is_some_and(is_session)
            );
        }
    }
}

/// Whether it is the cookie, as a reader takes it that knows nothing but `=` and blanks, those of Latin-1 and of
/// Unicode too.
fn is_session(cookie: &[u8]) -> bool {
    let name = cookie.split(|&byte| byte == b'=').next();
    let is = |name: &[u8]| name.trim_ascii().eq_ignore_ascii_case(b"session");
    name.is_some_and(|name| {
        let latin: String = name.iter().map(|&byte| char::from(byte)).collect();
        let text = String::from_utf8_lossy(name);
        is(name) || is(latin.trim().as_bytes()) || is(text.trim().as_bytes())
    })
}

/// Whether the cookie stands behind a blank in another one, where Python's `http.cookies` finds it.
fn has_session_behind_blank(line: &[u8]) -> bool {
    let lower = line.to_ascii_lowercase();
    let mut names = lower.windows(8).enumerate();
    names.any(|(at, name)| {
        let before = lower.get(..at).unwrap_or_default().trim_ascii_end();
        let behind = lower.get(at + 8..).unwrap_or_default();
        name.first().is_some_and(u8::is_ascii_whitespace)
            && name.get(1..) == Some(b"session")
            && behind.trim_ascii_start().starts_with(b"=")
            && !before.ends_with(b"=")
    })
}

/// A path with its query, also as a URL in two headers: no parameter of the name is left, the others keep
/// their bytes and their order.
pub fn parameters(data: &[u8]) {
    let filter = filter(REMOVE);
    let path = line(data);
    let left = |path: &[u8]| {
        let target = Target {
            path,
            ..Target::default()
        };
        filter.path(&target)
    };
    let is_clean = |path: &[u8]| {
        let mut halves = path.splitn(2, |&byte| byte == b'?');
        let parameters = halves.nth(1).unwrap_or_default();
        let mut parameters = parameters.split(|&byte| byte == b'&');
        !parameters.any(|parameter| {
            let name = parameter.split(|&byte| byte == b'=').next();
            let name = decoded(name.unwrap_or_default());
            let rack: Vec<u8> = name
                .iter()
                .copied()
                .skip_while(|byte| b"[]".contains(byte))
                .take_while(|byte| !b"[]".contains(byte))
                .collect();
            let search = name.strip_prefix(b"?").unwrap_or_default();
            [&name, &rack, search].iter().any(|name| {
                let text = String::from_utf8_lossy(name);
                text.trim().eq_ignore_ascii_case("token")
            })
        })
    };
    match left(&path) {
        None => assert!(is_clean(&path)),
        Some(path_left) => {
            assert!(is_part(&path_left, &path) && path_left != path);
            assert!(is_clean(&path_left));
            assert_eq!(left(&path_left), None);
        }
    }
    for (part, name) in [(Part::Request, "referer"), (Part::Response, "location")] {
        if let Some((url, _)) = once(&filter, part, name, &path) {
            assert!(is_part(&url, &path));
            let front = url.split(|&byte| byte == b'#').next().unwrap_or_default();
            assert!(is_clean(front));
        }
    }
}

/// A host, a URL and a list of protocols: no password is left before a host, and no word of a token.
pub fn copies(data: &[u8]) {
    let filter = filter(REMOVE);
    let value = line(data);
    for name in ["x-forwarded-host", "x-original-url"] {
        if let Some((left, _)) = once(&filter, Part::Request, name, &value) {
            assert!(is_part(&left, &value));
            let front = left.split(|byte| b"/\\?#".contains(byte)).next();
            assert!(!front.unwrap_or_default().contains(&b'@'));
        }
    }
    let name = "sec-websocket-protocol";
    if let Some((left, _)) = once(&filter, Part::Request, name, &value) {
        assert!(is_part(&left, &value));
        let mut words = left.split(|byte| b",. ".contains(byte));
        let known = |word: &[u8]| {
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            is(b"bearer") || is(b"authorization") || is(b"token") || word.starts_with(b"eyJ")
        };
        assert!(!words.any(known));
    }
}

/// Percent-decoded, and nothing else.
fn decoded(name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        let escape = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escape = escape.filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match escape.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

/// A value with a token: what is left of it verifies nowhere, and no claim becomes two headers.
pub fn token(data: &[u8]) {
    let filter = filter(TOKEN);
    let value = line(data);
    let mut headers: Headers = [("authorization", &value[..]), ("x-user", b"forged")]
        .into_iter()
        .collect();
    filter.scrub(&Target::default(), Part::Request, &mut headers);
    let left = headers.all("authorization");
    assert!(left.len() <= 1);
    let is_token = left
        .first()
        .is_some_and(|value| value.ends_with(b".signature-removed"));
    for name in ["x-user", "x-n"] {
        let claims = headers.all(name);
        assert!(claims.len() <= 1 && (is_token || claims.is_empty()));
        let breaks = |byte: &u8| *byte < b' ' || *byte == 0x7f;
        assert!(!claims.iter().any(|claim| claim.iter().any(breaks)));
    }
    if let Some(value) = left.first().filter(|_| is_token) {
        assert!(after(&filter, Part::Request, "authorization", value).is_empty());
    }
    assert!(after(&filter, Part::RequestTrailers, "x-user", &value).is_empty());
}

/// Lists of addresses: what is cut is cut again to the same.
pub fn addresses(data: &[u8]) {
    let filter = filter(ADDRESSES);
    let list = line(data);
    for name in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        once(&filter, Part::Request, name, &list);
    }
}

/// A configuration, and a message of any lines, cut at NUL. Whatever they are, nothing panics, the same
/// message becomes the same, and it grows by no more than the configuration says.
pub fn auth_scrub(data: &[u8]) {
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let (Some(config), Some(message)) = (parts.next(), parts.next()) else {
        return;
    };
    let Ok(json) = Config::from_json(config) else {
        return;
    };
    let Ok(filter) = Offline::new(&json) else {
        return;
    };
    let mut lines = message.split(|&byte| matches!(byte, b'\n' | b'\r' | 0));
    let target = Target {
        method: b"GET",
        authority: b"Example.com:80",
        path: lines.next().unwrap_or_default(),
        cluster: None,
    };
    let mut pairs = Vec::new();
    for line in lines {
        let mut halves = line.splitn(2, |&byte| byte == b':');
        if let (Some(name), Some(value)) = (halves.next(), halves.next())
            && !name.is_empty()
        {
            pairs.push((name.to_ascii_lowercase(), value.trim_ascii()));
        }
    }
    let path = filter.path(&target);
    assert_eq!(path, filter.path(&target));
    let most = data.len() + (config.len() + 128) * (pairs.len() + message.len() + 1);
    assert!(path.is_none_or(|path| path.len() <= most));
    for part in [
        Part::Request,
        Part::RequestTrailers,
        Part::Response,
        Part::ResponseTrailers,
    ] {
        let scrubbed = || {
            let mut headers: Headers = pairs.iter().cloned().collect();
            let changes = filter.scrub(&target, part, &mut headers);
            let headers = headers
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec()));
            (changes, headers.collect::<Vec<_>>())
        };
        let (changes, left) = scrubbed();
        assert_eq!((&changes, &left), (&scrubbed().0, &scrubbed().1));
        let size: usize = left
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        assert!(size <= most, "{size} of {}", data.len());
        let legal = |byte: &u8| !matches!(byte, b'\r' | b'\n' | 0);
        assert!(
            left.iter()
                .all(|(name, value)| name.iter().chain(value).all(legal))
        );
    }
}

/// As a header's value can be.
fn line(data: &[u8]) -> Vec<u8> {
    let legal = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    let line: Vec<u8> = data.iter().copied().filter(legal).collect();
    line.trim_ascii().to_vec()
}

/// Whether the bytes stand in the others, in their order.
fn is_part(bytes: &[u8], others: &[u8]) -> bool {
    let mut others = others.iter();
    bytes.iter().all(|byte| others.any(|other| other == byte))
}
