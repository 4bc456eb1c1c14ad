use std::time::Duration;

use super::*;
use crate::clock::Timestamp;
use crate::host::double::{self, Answer};
use crate::pairs;
use crate::status::Status;

fn read<T: FromProperty>(answer: Answer) -> Result<Option<T>, PropertyError> {
    double::answer([answer]);
    Property::<T>::at(&["a", "b"]).get()
}

fn path_of<T: FromProperty>(property: &Property<T>) -> Vec<u8> {
    double::answer([Answer::status(1)]);
    assert!(matches!(property.get(), Ok(None)));
    double::made()[0].bytes.clone()
}

fn pairs_of(pairs: &[(&[u8], &[u8])]) -> Answer {
    Answer::bytes(pairs::serialize(pairs).unwrap())
}

#[test]
fn parts_are_parted_by_nul() {
    assert_eq!(path_of(&request::URL_PATH), b"request\0url_path");
    assert_eq!(path_of(&request::header("X-A")), b"request\0headers\0x-a");
    assert_eq!(
        path_of(&metadata::route::<String>("acme.tier", "k")),
        b"xds\0route_metadata\0filter_metadata\0acme.tier\0k"
    );
    assert_eq!(path_of(&plugin::NAME), b"plugin_name");
}

#[test]
fn a_part_cannot_become_two() {
    let path = path_of(&metadata::dynamic::<String>("ns", "a\0b"));
    assert_eq!(path.iter().filter(|byte| **byte == 0).count(), 3);
}

#[test]
fn each_kind_is_read_from_its_bytes() {
    let number = Answer::bytes(5_000_000_001_u64.to_le_bytes());
    assert_eq!(read(number.clone()).unwrap(), Some(5_000_000_001_u64));
    assert_eq!(read(number.clone()).unwrap(), Some(Duration::new(5, 1)));
    assert_eq!(
        read(number).unwrap(),
        Some(Timestamp::from_unix(Duration::new(5, 1)))
    );
    assert_eq!(
        read(Answer::bytes((-3_i64).to_le_bytes())).unwrap(),
        Some(-3_i64)
    );
    assert_eq!(
        read(Answer::bytes(0.5_f64.to_le_bytes())).unwrap(),
        Some(0.5)
    );
    assert_eq!(read(Answer::bytes([1])).unwrap(), Some(true));
    assert_eq!(read(Answer::bytes("")).unwrap(), Some(String::new()));
    let map: Map = read(pairs_of(&[(b"a", b"1"), (b"b", b"")]))
        .unwrap()
        .unwrap();
    assert_eq!(map.get("a"), Some(&b"1"[..]));
    assert_eq!(map.read::<String>("b"), Ok(Some(String::new())));
    assert_eq!(map.len(), 2);
    let list: List = read(pairs_of(&[(b"x", b""), (b"y", b"")]))
        .unwrap()
        .unwrap();
    assert_eq!(list.read::<String>().unwrap(), ["x", "y"]);
}

#[test]
fn absence_another_kind_garbage_and_refusal_are_told_apart() {
    assert_eq!(read::<bool>(Answer::status(1)), Ok(None));
    let kind = read::<u64>(Answer::bytes("text"));
    assert!(matches!(kind, Err(PropertyError::Kind { path, .. }) if path == "a.b"));
    let kind = read::<List>(pairs_of(&[(b"a", b"1")]));
    assert!(matches!(kind, Err(PropertyError::Kind { .. })));
    for garbled in [
        read::<bool>(Answer::bytes([7])).map(drop),
        read::<String>(Answer::bytes([0xff])).map(drop),
        read::<Duration>(Answer::bytes((-1_i64).to_le_bytes())).map(drop),
        read::<Map>(Answer::bytes([1, 0, 0, 0])).map(drop),
    ] {
        assert!(matches!(garbled, Err(PropertyError::Garbled { .. })));
    }
    let refused = read::<String>(Answer::status(3));
    assert!(
        matches!(refused, Err(PropertyError::Host(cause)) if cause.status == Status::SERIALIZATION_FAILURE)
    );
}

#[test]
fn whatever_the_host_answers_is_a_value_none_or_an_error() {
    for answer in double::hostile() {
        let status = answer.status;
        let bytes = read::<Vec<u8>>(answer.clone());
        assert_eq!(bytes.is_ok(), status < 2);
        assert_eq!(matches!(bytes, Ok(None)), status == 1);
        let _ = read::<String>(answer.clone());
        let _ = read::<i64>(answer.clone());
        let _ = read::<f64>(answer.clone());
        let _ = read::<bool>(answer.clone());
        let _ = read::<Duration>(answer.clone());
        let _ = read::<Timestamp>(answer.clone());
        let _ = read::<Map>(answer.clone()).map(|map| map.map(|map| map.read::<u64>("a")));
        let _ = read::<List>(answer).map(|list| list.map(|list| list.read::<u64>()));
    }
}
