//! Addresses as text and back (RFC 4291, 2.2; RFC 5952, 4). The standard library does the same with
//! four times the code.

/// Four numbers of at most 255, without leading zeros.
pub(super) fn v4(text: &str) -> Option<u32> {
    let mut address = 0_u32;
    let mut count = 0;
    for part in text.split('.') {
        let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || part.len() > 3 || (part.len() > 1 && part.starts_with('0')) {
            return None;
        }
        let number: u8 = part.parse().ok()?;
        address = address << 8 | u32::from(number);
        count += 1;
    }
    (count == 4).then_some(address)
}

/// The groups of an address, from the front.
pub(super) type Groups = [u16; 8];

/// Eight groups, of which `::` may stand for some that are zero, and the last two may be an IPv4 address.
pub(super) fn v6(text: &str) -> Option<Groups> {
    // Found by hand: the search of the standard library is 2 KB.
    let (front, back) = match text.as_bytes().windows(2).position(|two| two == b"::") {
        Some(mark) => (text.get(..mark)?, Some(text.get(mark + 2..)?)),
        None => (text, None),
    };
    let (mut address, count) = groups(front, back.is_none())?;
    let Some(back) = back else {
        return (count == 8).then_some(address);
    };
    let (last, last_count) = groups(back, true)?;
    if count + last_count > 7 {
        return None;
    }
    let behind = address.iter_mut().skip(8 - last_count);
    for (group, last) in behind.zip(last) {
        *group = last;
    }
    Some(address)
}

/// Groups between colons, and how many they are.
fn groups(text: &str, is_end: bool) -> Option<(Groups, usize)> {
    let (mut address, mut count) = (Groups::default(), 0);
    if text.is_empty() {
        return Some((address, count));
    }
    let mut parts = text.split(':').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let mut put = |group| {
            *address.get_mut(count)? = group;
            count += 1;
            Some(())
        };
        if is_end && is_last && part.contains('.') {
            let [a, b, c, d] = v4(part)?.to_be_bytes();
            put(u16::from_be_bytes([a, b]))?;
            put(u16::from_be_bytes([c, d]))?;
            break;
        }
        let is_group =
            (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        put(u16::from_str_radix(part, 16).ok().filter(|_| is_group)?)?;
    }
    Some((address, count))
}

/// Whether it is an IPv4 address in an IPv6 one.
pub(super) fn is_mapped(address: &Groups) -> bool {
    matches!(address, [0, 0, 0, 0, 0, 0xffff, ..])
}

pub(super) fn write_v4(address: u32) -> Vec<u8> {
    let mut text = Vec::new();
    for (index, byte) in address.to_be_bytes().iter().enumerate() {
        if index > 0 {
            text.push(b'.');
        }
        text.extend(byte.to_string().bytes());
    }
    text
}

/// The longest run of zeros, the first of such, becomes `::`.
pub(super) fn write_v6(address: &Groups) -> Vec<u8> {
    let mut text = Vec::new();
    if let [.., high, low] = address
        && is_mapped(address)
    {
        text.extend(b"::ffff:");
        text.extend(write_v4(u32::from(*high) << 16 | u32::from(*low)));
        return text;
    }
    let zeros = |start| {
        let behind = address.iter().skip(start);
        behind.take_while(|&&group| group == 0).count()
    };
    let mut longest = (0, 1);
    for start in 0..8 {
        let run = zeros(start);
        if run > longest.1 {
            longest = (start, run);
        }
    }
    for (index, group) in address.iter().enumerate() {
        if longest.1 > 1 && (longest.0..longest.0 + longest.1).contains(&index) {
            if index == longest.0 {
                text.extend(b"::");
            }
            continue;
        }
        if !matches!(text.last(), None | Some(b':')) {
            text.push(b':');
        }
        let digits = [12, 8, 4, 0].map(|shift| u32::from(group >> shift & 15));
        let start = digits
            .iter()
            .take(3)
            .take_while(|&&digit| digit == 0)
            .count();
        for digit in digits.iter().skip(start) {
            let letter = char::from_digit(*digit, 16);
            text.extend(letter.map(|letter| letter as u8));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn texts_are_read_as_the_standard_library_reads_them() {
        for text in [
            "0.0.0.0",
            "255.255.255.255",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "01.1.1.1",
            "1..1.1",
            "",
            "+1.1.1.1",
            "1.1.1.1 ",
        ] {
            let expected = text.parse().ok().map(Ipv4Addr::to_bits);
            assert_eq!(v4(text), expected, "{text}");
        }
        for text in [
            "::",
            "::1",
            "1::",
            "1::2",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1:2:3:4::5:6:7:8",
            "1:2:3",
            "1::2::3",
            ":1",
            "1:",
            "12345::",
            "g::",
            "::1.2.3.4",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1.2.3.4::",
            "::ffff:1.2.3.4",
            "",
            ":::",
            "+1::",
            "1:2:3:4:5:6:7:8:9",
            "::1.2.3",
            "2001:DB8::A",
        ] {
            let expected = text
                .parse()
                .ok()
                .map(|address: Ipv6Addr| address.segments());
            assert_eq!(v6(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_writes_them() {
        let mut bits = 1_u128;
        for step in 0..2_000_u32 {
            bits = bits
                .wrapping_mul(0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f)
                .wrapping_add(1);
            let mut address = bits;
            // With runs of zeros here and there.
            for group in 0..8 {
                if (bits >> group) & 1 == 1 || step.is_multiple_of(7) && group > 3 {
                    address &= !(0xffff << (16 * group));
                }
            }
            let address = Ipv6Addr::from_bits(address);
            let expected = address.to_string();
            assert_eq!(write_v6(&address.segments()), expected.as_bytes());
            let [first, second, third, fourth, ..] = bits.to_be_bytes();
            let four = u32::from_be_bytes([first, second, third, fourth]);
            assert_eq!(
                write_v4(four),
                Ipv4Addr::from_bits(four).to_string().as_bytes()
            );
        }
        for text in [
            "::",
            "::1",
            "1::",
            "::ffff:1.2.3.4",
            "1:0:2::",
            "0:1::",
            "1:0:0:2:0:0:0:3",
        ] {
            let address: Ipv6Addr = text.parse().unwrap();
            assert_eq!(
                write_v6(&address.segments()),
                address.to_string().as_bytes()
            );
        }
    }
}
