//! Addresses of the client, cut to the bits that say where it is and not who.

use crate::change::Outcome;
use crate::credentials::{cut, joined, trim};

mod ip;

/// Headers that carry the client's address, or a list of addresses.
pub(crate) const HEADERS: [&str; 17] = [
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "x-client-ip",
    "client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "do-connecting-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-vercel-forwarded-for",
    "x-envoy-external-address",
    "x-original-forwarded-for",
    "x-cluster-client-ip",
];

/// What stays of addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prefixes {
    /// Nothing: the header goes.
    None,
    /// So many bits.
    Bits { v4: u32, v6: u32 },
}

impl Prefixes {
    /// What stays by both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Bits { v4, v6 }, Self::Bits { v4: a, v6: b }) => Self::Bits {
                v4: v4.min(a),
                v6: v6.min(b),
            },
            _ => Self::None,
        }
    }

    /// What becomes of a header that carries addresses. The order of a list stays; what is no address goes.
    pub(crate) fn scrub(self, name: &[u8], value: &[u8]) -> Outcome {
        let Self::Bits { v4, v6 } = self else {
            return Outcome::Goes;
        };
        let is_forwarded = name.eq_ignore_ascii_case(b"forwarded");
        let mut kept: Vec<Vec<u8>> = Vec::new();
        let mut changed = false;
        for element in split(value, b',') {
            let element = trim(element);
            let after = match is_forwarded {
                true => forwarded(element, v4, v6),
                false => address(element, v4, v6),
            };
            changed |= after.as_deref() != Some(element);
            kept.extend(after);
        }
        if !changed {
            Outcome::Stays
        } else if kept.is_empty() {
            Outcome::Goes
        } else {
            Outcome::Becomes(joined(&kept, b", "))
        }
    }
}

/// One element of `forwarded` (RFC 7239, 4): `for=…;by=…`. `None` where nothing is left.
fn forwarded(element: &[u8], v4: u32, v6: u32) -> Option<Vec<u8>> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for pair in split(element, b';') {
        let (name, value) = cut(pair, b'=');
        if !trim(name).eq_ignore_ascii_case(b"for") {
            kept.push(pair.to_vec());
            continue;
        }
        let value = trim(value.unwrap_or_default());
        let inside = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""));
        let node = inside.unwrap_or(value);
        if is_obfuscated(node) {
            kept.push(pair.to_vec());
            continue;
        }
        let Some(after) = address(node, v4, v6) else {
            continue;
        };
        if after == node {
            kept.push(pair.to_vec());
            continue;
        }
        // An IPv6 address has to be quoted and in brackets.
        let quote: &[u8] = if after.contains(&b':') { b"\"" } else { b"" };
        kept.push([name, b"=", quote, &after, quote].concat());
    }
    (!kept.is_empty()).then(|| joined(&kept, b";"))
}

/// A name that a proxy made up (RFC 7239, 6.3), which says nothing of the address.
fn is_obfuscated(node: &[u8]) -> bool {
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    node.starts_with(b"_") && node.iter().all(of_name)
}

/// An address without its last bits and its port; `None` for what is none. In brackets where it was.
fn address(text: &[u8], v4: u32, v6: u32) -> Option<Vec<u8>> {
    if text.eq_ignore_ascii_case(b"unknown") {
        return Some(text.to_vec());
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        let cut = is_port.then(|| cut6(inside, v4, v6))??;
        return Some([b"[", &cut[..], b"]"].concat());
    }
    if let Some(cut) = cut6(text, v4, v6) {
        return Some(cut);
    }
    let host = match text.split_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) => return None,
        None => text,
    };
    let mask = u32::MAX.checked_shl(32 - v4.min(32)).unwrap_or(0);
    Some(ip::write_v4(ip::v4(host)? & mask))
}

/// A zone (`%eth0`) says which interface, and goes.
fn cut6(text: &str, v4: u32, v6: u32) -> Option<Vec<u8>> {
    let (text, _zone) = text.split_once('%').unwrap_or((text, ""));
    let address = ip::v6(text)?;
    let mut bits = match address {
        _ if ip::is_mapped(&address) => 96 + v4,
        // An IPv4 address follows (6to4, RFC 3056, 2).
        [0x2002, ..] => v6.min(16 + v4),
        // One ends it (NAT64, RFC 6052, 2.1).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => v6.min(96 + v4),
        _ => v6,
    };
    let cut = address.map(|group| {
        let kept = bits.min(16);
        bits -= kept;
        group & u16::MAX.checked_shl(16 - kept).unwrap_or(0)
    });
    // As it was written, where nothing was cut off: `2001:DB8::` is the same address.
    if cut == address {
        return Some(text.as_bytes().to_vec());
    }
    Some(ip::write_v6(&cut))
}

fn is_port(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The parts between separators that stand in no quotes.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |&byte| {
        if escaped {
            escaped = false;
            return false;
        }
        match byte {
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte => return byte == separator && !quoted,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(name: &str, value: &str) -> Option<String> {
        let bits = Prefixes::Bits { v4: 24, v6: 48 };
        match bits.scrub(name.as_bytes(), value.as_bytes()) {
            Outcome::Stays => Some(value.to_owned()),
            Outcome::Goes => None,
            Outcome::Becomes(value) => Some(String::from_utf8(value).unwrap()),
        }
    }

    #[test]
    fn addresses_lose_their_last_bits_and_lists_keep_their_order() {
        for (value, cut) in [
            ("192.0.2.77", Some("192.0.2.0")),
            ("192.0.2.77:4711", Some("192.0.2.0")),
            ("192.0.2.0", Some("192.0.2.0")),
            ("2001:db8:1:2::3", Some("2001:db8:1::")),
            ("[2001:db8:1:2::3]:443", Some("[2001:db8:1::]")),
            ("fe80::1%eth0", Some("fe80::")),
            ("::ffff:192.0.2.77", Some("::ffff:192.0.2.0")),
            ("2002:c000:24d:1::2", Some("2002:c000:200::")),
            ("192.0.2.1,10.0.0.9,  ::1", Some("192.0.2.0, 10.0.0.0, ::")),
            ("unknown, 192.0.2.1", Some("unknown, 192.0.2.0")),
            ("192.0.2.1, junk", Some("192.0.2.0")),
            ("junk", None),
            ("_hidden", None),
            ("192.0.2.1:80:90", None),
            ("192.0.2.300", None),
            ("[::1", None),
            ("", None),
        ] {
            assert_eq!(after("X-Forwarded-For", value).as_deref(), cut, "{value}");
        }
    }

    #[test]
    fn forwarded_keeps_all_but_the_client() {
        for (value, cut) in [
            (
                "for=\"[2001:db8:1:2::3]:443\";by=203.0.113.9;proto=https",
                Some("for=\"[2001:db8:1::]\";by=203.0.113.9;proto=https"),
            ),
            (
                "For=192.0.2.7, for=\"198.51.100.2:80\"",
                Some("For=192.0.2.0, for=198.51.100.0"),
            ),
            (
                "for=_hidden;by=_proxy, for=unknown",
                Some("for=_hidden;by=_proxy, for=unknown"),
            ),
            ("for=junk;host=\"a,b;c\"", Some("host=\"a,b;c\"")),
            ("for=junk", None),
            ("for", None),
            ("for=\"\\\"192.0.2.1", None),
        ] {
            assert_eq!(after("Forwarded", value).as_deref(), cut, "{value}");
        }
    }

    #[test]
    fn any_number_of_bits_can_stay() {
        for (v4, v6, address, cut) in [
            (0, 0, "192.0.2.7", "0.0.0.0"),
            (32, 128, "192.0.2.7", "192.0.2.7"),
            (0, 0, "2001:db8::1", "::"),
            (32, 128, "2001:DB8::1", "2001:DB8::1"),
        ] {
            let after = super::address(address.as_bytes(), v4, v6).unwrap();
            assert_eq!(after, cut.as_bytes());
        }
    }

    #[test]
    fn an_address_of_ipv4_within_another_keeps_no_more_than_alone() {
        for (v4, v6, text, cut) in [
            (24, 128, "64:ff9b::192.0.2.77", "64:ff9b::c000:200"),
            (24, 48, "64:ff9b::c000:24d", "64:ff9b::"),
            (24, 128, "64:ff9b:1::c000:24d", "64:ff9b:1::c000:24d"),
            (24, 128, "2002:c000:24d:1::2", "2002:c000:200::"),
        ] {
            let after = super::address(text.as_bytes(), v4, v6).unwrap();
            assert_eq!(after, cut.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_header_can_go_whole() {
        assert_eq!(
            Prefixes::None.scrub(b"x-real-ip", b"192.0.2.1"),
            Outcome::Goes
        );
    }
}
