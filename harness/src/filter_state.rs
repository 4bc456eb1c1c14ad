//! Filter state: named objects that live as long as a stream or its connection.

mod message;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) use self::message::Message;

/// What `proxy_set_property` puts before its key.
const PREFIX: &[u8] = b"wasm.";

/// The filter state of a stream or connection, by full name.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterState(BTreeMap<Vec<u8>, Object>);

/// An object of the filter state.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    /// A value of `proxy_set_property`: Envoy's `CelState`.
    Cel(Box<Cel>),
    /// An object of Envoy's own, which shows itself as text.
    Text(Vec<u8>),
    /// An address, which has fields and shows itself as an empty map.
    Address(SocketAddr),
    /// One that does not show itself.
    Opaque,
}

/// A value of `proxy_set_property`, with its declaration.
#[derive(Clone, Debug)]
pub(crate) struct Cel {
    pub(crate) bytes: Vec<u8>,
    pub(crate) declared: Arc<Prototype>,
    /// What the bytes say by their schema, if they have one.
    pub(crate) message: Option<Message>,
}

impl Cel {
    fn new(bytes: Vec<u8>, declared: Arc<Prototype>) -> Self {
        let message = match declared.kind {
            Kind::Protobuf => Some(Message::read(&declared.schema, &bytes)),
            Kind::FlatBuffers => Some(Message::of_schema(&declared.schema)),
            Kind::Bytes | Kind::String => None,
        };
        Self {
            bytes,
            declared,
            message,
        }
    }
}

/// What `declare_property` says of a property.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Prototype {
    pub(crate) readonly: bool,
    /// Whether the value lives as long as the connection.
    pub(crate) of_connection: bool,
    pub(crate) kind: Kind,
    pub(crate) schema: Vec<u8>,
}

/// How the bytes of a property are to be understood.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Kind {
    #[default]
    Bytes,
    String,
    /// The schema is a reflection of FlatBuffers.
    FlatBuffers,
    /// The schema is the type URL.
    Protobuf,
}

impl FilterState {
    /// The value that a guest keeps under a key.
    pub(crate) fn wasm(&self, key: &[u8]) -> Option<&Object> {
        self.0.get(&[PREFIX, key].concat())
    }

    /// Takes over what lives as long as the connection from an earlier stream on it.
    pub(crate) fn inherit(&mut self, earlier: &Self) {
        for (name, object) in &earlier.0 {
            if let Object::Cel(cel) = object
                && cel.declared.of_connection
            {
                self.0.insert(name.clone(), object.clone());
            }
        }
    }

    /// Any object, by its full name.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Object> {
        self.0.get(name)
    }

    /// Keeps a guest's value; false where a read-only one is there already. A declaration matters
    /// for the first value only.
    pub(crate) fn set_wasm(
        &mut self,
        key: &[u8],
        bytes: Vec<u8>,
        declared: &Arc<Prototype>,
    ) -> bool {
        let name = [PREFIX, key].concat();
        match self.0.get_mut(&name) {
            Some(Object::Cel(cel)) if cel.declared.readonly => return false,
            Some(Object::Cel(cel)) => **cel = Cel::new(bytes, Arc::clone(&cel.declared)),
            _ => {
                let cel = Cel::new(bytes, Arc::clone(declared));
                self.0.insert(name, Object::Cel(Box::new(cel)));
            }
        }
        true
    }

    pub(crate) fn set(&mut self, name: impl Into<Vec<u8>>, object: Object) {
        self.0.insert(name.into(), object);
    }
}

impl Object {
    /// The bytes of a value that shows itself as such.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Cel(cel) => Some(&cel.bytes),
            Self::Text(bytes) => Some(bytes),
            Self::Address(_) | Self::Opaque => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_value_is_set_once_and_keeps_its_first_declaration() {
        let mut state = FilterState::default();
        let readonly = Arc::new(Prototype {
            readonly: true,
            ..Prototype::default()
        });
        let free = Arc::new(Prototype::default());
        assert!(state.set_wasm(b"once", b"1".to_vec(), &readonly));
        assert!(!state.set_wasm(b"once", b"2".to_vec(), &free));
        assert!(state.set_wasm(b"often", b"1".to_vec(), &free));
        assert!(state.set_wasm(b"often", b"2".to_vec(), &readonly));
        assert!(state.set_wasm(b"often", b"3".to_vec(), &readonly));
        let bytes = |name: &[u8]| state.get(name).and_then(Object::bytes);
        assert_eq!(bytes(b"wasm.once"), Some(&b"1"[..]));
        assert_eq!(bytes(b"wasm.often"), Some(&b"3"[..]));
        assert_eq!(
            state.wasm(b"often").and_then(Object::bytes),
            bytes(b"wasm.often")
        );
    }
}
