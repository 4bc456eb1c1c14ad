//! Versions as Envoy reads them, for as long as somebody has not taken all of one.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use hyper::body::Bytes;
use prost::Message;

use crate::mailbox::Parcel;
use crate::resource::resource;
use crate::rollout::Rollout;

/// Writes each version once, for all streams that it is sent on at a time.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    rollout: Weak<Rollout>,
    generation: u64,
    written: Weak<OnceLock<Vec<u8>>>,
}

struct Written(Arc<OnceLock<Vec<u8>>>);

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        self.0.get().map_or(&[], Vec::as_slice)
    }
}

impl Shelf {
    /// The resource of a version. Who gets it shares its bytes with the others.
    pub(super) fn resource(&self, parcel: &Parcel) -> Bytes {
        let written = self.entry(parcel);
        written.get_or_init(|| resource(&parcel.rollout, parcel.generation).encode_to_vec());
        Bytes::from_owner(Written(written))
    }

    fn entry(&self, parcel: &Parcel) -> Arc<OnceLock<Vec<u8>>> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry.written.strong_count() > 0);
        let is_same = |entry: &&Entry| {
            entry.generation == parcel.generation
                && std::ptr::eq(entry.rollout.as_ptr(), Arc::as_ptr(&parcel.rollout))
        };
        if let Some(written) = entries
            .iter()
            .find(is_same)
            .and_then(|entry| entry.written.upgrade())
        {
            return written;
        }
        let written = Arc::default();
        entries.push(Entry {
            rollout: Arc::downgrade(&parcel.rollout),
            generation: parcel.generation,
            written: Arc::downgrade(&written),
        });
        written
    }
}
