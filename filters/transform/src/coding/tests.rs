use super::*;

const BODY: &[u8] = br#"{"user":{"name":"ada","role":"admin"},"n":1.0}"#;

// Made by zlib, Brotli and Zstandard themselves.
const GZIP: &str = "1f8b0800000000000003ab562a2d4e2d52b2aa56ca4bcc4d55b2524a4c4954d2512acacf81707233\
    f3946a7594f294ac0cf50c6a015bcc7c7c2e000000";
const BROTLI: &str = "8b16807b2275736572223a7b226e616d65223a22616461222c22726f6c65223a2261646d696e227d\
    2c226e223a312e307d03";
const ZSTD: &str = "28b52ffd04587101007b2275736572223a7b226e616d65223a22616461222c22726f6c65223a2261\
    646d696e227d2c226e223a312e307db2943fdf";

/// Fifty million zeros in Brotli.
const BOMB: &str = "cbffff3ff82700e2b14020f7fe8fffff7ff04f00c4611180eefd1fffffffe09f0088c30200ddfb3f\
    feffffc13f0110870500baf77ffcffff837f02200e0b0074effff20f5e0fff04401c1600e8a0eb01";

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit");
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("a byte");
    pairs.map(byte).collect()
}

fn all() -> [(Coding, Vec<u8>); 3] {
    [
        (Coding::Gzip, bytes(GZIP)),
        (Coding::Brotli, bytes(BROTLI)),
        (Coding::Zstd, bytes(ZSTD)),
    ]
}

#[test]
fn each_coding_is_read() {
    for (coding, body) in all() {
        assert_eq!(
            coding.decode(&body, BODY.len()).as_deref(),
            Ok(BODY),
            "{coding:?}"
        );
        assert_eq!(
            coding.decode(&body, BODY.len() - 1),
            Err(Undecodable::Large),
            "{coding:?}"
        );
    }
}

#[test]
fn what_is_cut_or_followed_by_more_is_refused() {
    for (coding, body) in all() {
        for length in 0..body.len() {
            let cut = coding.decode(&body[..length], 1_000);
            assert_eq!(cut, Err(Undecodable::Malformed), "{coding:?} {length}");
        }
        let more = [&body[..], b"more"].concat();
        assert_eq!(
            coding.decode(&more, 1_000),
            Err(Undecodable::Malformed),
            "{coding:?}"
        );
        assert_eq!(
            coding.decode(BODY, 1_000),
            Err(Undecodable::Malformed),
            "{coding:?}"
        );
    }
}

#[test]
fn changed_bits_are_noticed_where_there_is_a_checksum() {
    for (coding, body) in [(Coding::Gzip, bytes(GZIP)), (Coding::Zstd, bytes(ZSTD))] {
        let mut wrong = body.clone();
        let last = wrong.len() - 1;
        wrong[last] ^= 1;
        assert_eq!(
            coding.decode(&wrong, 1_000),
            Err(Undecodable::Malformed),
            "{coding:?}"
        );
    }
}

#[test]
fn several_members_and_frames_are_one_body() {
    for (coding, body) in [(Coding::Gzip, bytes(GZIP)), (Coding::Zstd, bytes(ZSTD))] {
        let twice = coding.decode(&[&body[..], &body].concat(), 1_000);
        assert_eq!(twice, Ok([BODY, BODY].concat()), "{coding:?}");
    }
    let skippable = [&b"\x50\x2a\x4d\x18\x02\0\0\0ab"[..], &bytes(ZSTD)].concat();
    assert_eq!(Coding::Zstd.decode(&skippable, 1_000).as_deref(), Ok(BODY));
}

#[test]
fn the_parts_of_a_members_header_are_passed_over() {
    let plain = bytes(GZIP);
    let mut member = plain.clone();
    member[3] = 0b1_1110;
    let fields = b"\x03\0abcname\0comment\0\x12\x34";
    member.splice(10..10, fields.iter().copied());
    assert_eq!(Coding::Gzip.decode(&member, 1_000).as_deref(), Ok(BODY));
    member[3] |= 0b10_0000;
    assert_eq!(
        Coding::Gzip.decode(&member, 1_000),
        Err(Undecodable::Malformed)
    );
}

#[test]
fn bombs_are_refused_before_they_are_large() {
    let zeros = gzip(&vec![0; 4 << 20]);
    for (coding, bomb) in [(Coding::Brotli, bytes(BOMB)), (Coding::Gzip, zeros)] {
        assert_eq!(
            coding.decode(&bomb, 1 << 20),
            Err(Undecodable::Large),
            "{coding:?}"
        );
    }
    // Within the limit, and yet far more than what came.
    assert_eq!(
        Coding::Brotli.decode(&bytes(BOMB), 1 << 30),
        Err(Undecodable::Large)
    );
}

#[test]
fn windows_beyond_the_usual_are_refused() {
    // A frame of zstd that asks for a window of a GiB, and a stream of brotli with a large window.
    let frame = bytes("28b52ffd04a0010000");
    assert_eq!(
        Coding::Zstd.decode(&frame, 1_000),
        Err(Undecodable::Malformed)
    );
    let stream = bytes("111e0300");
    assert_eq!(
        Coding::Brotli.decode(&stream, 1_000),
        Err(Undecodable::Malformed)
    );
}

#[test]
fn what_is_compressed_is_read_back() {
    for body in [&b""[..], BODY, &[7; 100_000]] {
        assert_eq!(
            Coding::Gzip.decode(&gzip(body), 200_000).as_deref(),
            Ok(body)
        );
    }
}
