use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that can be kept where only bytes can: in shared data, and with a stream.
///
/// Numbers are eight bytes, little endian, as in Envoy's own properties, texts and bytes are as they
/// are, and [`Json`] is whatever `serde` knows. A filter may have types of its own:
///
/// ```
/// use attache::shared::Value;
///
/// /// A token bucket in sixteen bytes.
/// struct Bucket { tokens: u64, refilled: u64 }
///
/// impl Value for Bucket {
///     fn encode(&self) -> Vec<u8> {
///         [self.tokens.to_le_bytes(), self.refilled.to_le_bytes()].concat()
///     }
///
///     fn decode(bytes: Vec<u8>) -> Option<Self> {
///         let (tokens, refilled) = bytes.split_at_checked(8)?;
///         Some(Self {
///             tokens: u64::from_le_bytes(tokens.try_into().ok()?),
///             refilled: u64::from_le_bytes(refilled.try_into().ok()?),
///         })
///     }
/// }
/// ```
pub trait Value: Sized {
    /// The bytes that are kept.
    fn encode(&self) -> Vec<u8>;

    /// The value that was kept; `None` for bytes that are no such value.
    fn decode(bytes: Vec<u8>) -> Option<Self>;
}

impl Value for Vec<u8> {
    fn encode(&self) -> Vec<u8> {
        self.clone()
    }

    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Some(bytes)
    }
}

impl Value for String {
    fn encode(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Self::from_utf8(bytes).ok()
    }
}

impl Value for u64 {
    fn encode(&self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }

    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl Value for i64 {
    fn encode(&self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }

    fn decode(bytes: Vec<u8>) -> Option<Self> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// One byte, 0 or 1.
impl Value for bool {
    fn encode(&self) -> Vec<u8> {
        vec![u8::from(*self)]
    }

    fn decode(bytes: Vec<u8>) -> Option<Self> {
        match bytes.as_slice() {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

/// A type of `serde`'s, kept as JSON.
///
/// ```
/// use attache::shared::{Json, Value};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Deserialize, Serialize)]
/// struct Session { user: String, visits: u32 }
///
/// let kept = Json(Session { user: "ada".to_owned(), visits: 3 }).encode();
/// assert_eq!(kept, br#"{"user":"ada","visits":3}"#);
/// assert_eq!(Json::<Session>::decode(kept).unwrap().0.visits, 3);
/// ```
///
/// What `serde_json` cannot write, such as a map whose keys are no texts, is kept as no bytes at all,
/// and so is not read back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "it is its one field")]
pub struct Json<T>(pub T);

impl<T: Serialize + DeserializeOwned> Value for Json<T> {
    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    fn decode(bytes: Vec<u8>) -> Option<Self> {
        serde_json::from_slice(&bytes).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        assert_eq!(u64::decode(u64::MAX.encode()), Some(u64::MAX));
        assert_eq!(i64::decode((-5_i64).encode()), Some(-5));
        assert_eq!(bool::decode(true.encode()), Some(true));
        assert_eq!(String::decode("é".to_owned().encode()).unwrap(), "é");
    }

    #[test]
    fn bytes_of_another_shape_are_refused() {
        assert_eq!(u64::decode(vec![0; 7]), None);
        assert_eq!(bool::decode(vec![2]), None);
        assert_eq!(String::decode(vec![0xff]), None);
        assert_eq!(Json::<u8>::decode(Vec::new()), None);
    }
}
