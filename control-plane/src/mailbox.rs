use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::rollout::Rollout;

/// What is to be sent on a stream: of each plugin the latest version only, so that an Envoy that is slow to
/// take them costs no memory.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    parcels: Mutex<BTreeMap<String, Parcel>>,
    filled: Notify,
}

/// A version to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) rollout: Arc<Rollout>,
    pub(crate) generation: u64,
}

impl Parcel {
    pub(crate) fn new(rollout: Arc<Rollout>, generation: u64) -> Self {
        Self {
            rollout,
            generation,
        }
    }

    /// The same version, for another Envoy.
    pub(crate) fn is_of(&self, rollout: &Arc<Rollout>, generation: u64) -> bool {
        self.generation == generation && Arc::ptr_eq(&self.rollout, rollout)
    }
}

impl Mailbox {
    pub(crate) fn put(&self, parcel: Parcel) {
        let mut parcels = self.parcels.lock().unwrap_or_else(PoisonError::into_inner);
        parcels.insert(parcel.rollout.plugin.clone(), parcel);
        self.filled.notify_one();
    }

    /// Waits for the next version. Nothing is lost if the wait is given up.
    pub(crate) async fn next(&self) -> Parcel {
        loop {
            if let Some(parcel) = self.take() {
                return parcel;
            }
            self.filled.notified().await;
        }
    }

    fn take(&self) -> Option<Parcel> {
        let mut parcels = self.parcels.lock().unwrap_or_else(PoisonError::into_inner);
        parcels.pop_first().map(|(_, parcel)| parcel)
    }
}
