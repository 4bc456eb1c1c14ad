//! Drawn configurations and requests: nothing traps, work stays bounded, and what no rule names keeps
//! every byte.

use attache_harness::{Exchange, Host, HostError, Request, Response, plugin};
use serde_json::{Value, json};

/// Numbers drawn from a seed (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ bits >> 31) % end as u64).expect("it is below")
    }

    fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn item(&mut self) -> Value {
        let name = match self.below(3) {
            0 => json!({"prefix": self.one(&["x-", "a", "se"])}),
            _ => json!(self.one(&["x-a", "session", "token", "authorization", "x-a-bin", "b"])),
        };
        match self.below(6) {
            0 => json!({"name": name, "action": "replace", "value": "new"}),
            1 => json!({"name": name, "action": "mask", "keep_first": 1, "char": "*"}),
            2 => json!({"name": name, "action": "hash"}),
            3 => json!({"name": name, "action": "truncate", "length": self.below(5)}),
            4 => json!({"name": name, "action": "keep"}),
            _ => json!({"name": name, "action": "remove"}),
        }
    }

    fn condition(&mut self) -> Value {
        let path = [
            json!("/"),
            json!({"prefix": "/a"}),
            json!({"safe_regex": "(/[a-z]*)+"}),
            json!({"path_template": "/a/{b}"}),
            json!({"contains": "%", "ignore_case": true}),
        ];
        json!({"path": self.some(2, |draw| draw.one(&path).clone())})
    }

    fn configuration(&mut self) -> Value {
        let rule = |draw: &mut Self| {
            json!({
                "match": draw.condition(),
                "request": {
                    "defaults": draw.below(2) == 0,
                    "headers": draw.some(3, Self::item),
                    "cookies": draw.some(3, Self::item),
                    "query_parameters": draw.some(3, Self::item),
                    "client_ip": {"action": draw.one(&["truncate", "remove"])},
                    "jwt": {"action": draw.one(&["keep", "strip_signature"]), "claims_to_headers": {"a": "y-claim"}},
                },
                "response": {
                    "headers": draw.some(3, Self::item),
                    "set_cookies": draw.some(3, Self::item),
                },
            })
        };
        json!({
            "mode": self.one(&["enforce", "report_only"]),
            "hash": {"key": {"inline": "0123456789abcdef"}},
            "rules": self.some(3, rule),
            "access_log": {"fields": ["path", "changes", "authorization_hash"]},
        })
    }

    fn text(&mut self) -> Vec<u8> {
        let pieces: [&[u8]; 24] = [
            b"session",
            b"token",
            b"x-a",
            b"=",
            b";",
            b",",
            b"&",
            b"%74",
            b"%",
            b"\"",
            b" ",
            b"Bearer ",
            b"1.2.3.4",
            b"2001:db8::1",
            b"[",
            b"]",
            b":80",
            b"\xff",
            b"eyJhbGciOiJIUzI1NiJ9",
            b".",
            b"?",
            b"#",
            b"/",
            b"for=",
        ];
        self.some(12, |draw| draw.one(&pieces).to_vec()).concat()
    }

    fn request(&mut self) -> Request {
        let path = self.text();
        let path: Vec<u8> = path
            .into_iter()
            .filter(|byte| *byte > b' ' && *byte < 0x7f && *byte != b'#')
            .collect();
        let mut request = Request::get([b"/", &path[..]].concat());
        for _ in 0..self.below(8) {
            let names = [
                "authorization",
                "cookie",
                "x-a",
                "x_a",
                "x-a-bin",
                "referer",
                "x-forwarded-for",
                "forwarded",
                "sec-websocket-protocol",
                "grpc-metadata-authorization",
                "x-original-url",
                "y-claim",
                "b",
            ];
            let value = self.text().trim_ascii().to_vec();
            request = request.header(*self.one(&names), value);
        }
        request
    }
}

fn writes(exchange: &Exchange) -> usize {
    let writes = [
        "proxy_replace_header_map_value",
        "proxy_add_header_map_value",
        "proxy_remove_header_map_value",
    ];
    exchange
        .host_calls()
        .iter()
        .filter(|call| writes.contains(&call.name))
        .count()
}

#[test]
fn drawn_requests_pass_drawn_configurations() -> Result<(), HostError> {
    let mut draw = Draw(7);
    let mut started = 0;
    for _ in 0..300 {
        let configuration = draw.configuration();
        let report_only = configuration["mode"] == "report_only";
        let Ok(mut host) = Host::with(plugin!("auth-scrub").config(configuration.clone())) else {
            continue;
        };
        started += 1;
        let value = draw.text();
        host.upstream(move |_| {
            let value: Vec<u8> = value.iter().copied().filter(|byte| *byte >= b' ').collect();
            Response::new(200)
                .header("set-cookie", value.clone())
                .header("x-a", value)
        });
        for _ in 0..20 {
            let exchange = host.send(draw.request())?;
            let fuel = exchange.cost().fuel;
            assert!(fuel < 1_000_000, "{fuel} for {configuration}");
            if report_only {
                assert_eq!(writes(&exchange), 0, "{configuration}");
            }
        }
    }
    assert!(started > 20, "{started} configurations were accepted");
    Ok(())
}

#[test]
fn what_no_rule_names_keeps_every_byte() -> Result<(), HostError> {
    let item = |action: &str| json!({"name": "nobody-sends-this", "action": action});
    let configuration = json!({
        "hash": {"key": {"inline": "0123456789abcdef"}},
        "rules": [{
            "request": {
                "headers": [item("remove"), {"name": {"prefix": "nobody-"}, "action": "hash"}],
                "cookies": [item("remove")],
                "query_parameters": [item("hash")],
            },
            "response": {"headers": [item("remove")], "set_cookies": [item("hash")], "location_query": true},
        }],
    });
    let mut host = Host::with(plugin!("auth-scrub").config(configuration))?;
    let mut draw = Draw(11);
    for _ in 0..2_000 {
        let exchange = host.send(draw.request())?;
        assert_eq!(writes(&exchange), 0, "{}", exchange.timeline());
    }
    Ok(())
}
