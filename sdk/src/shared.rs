//! Data that all VMs of a vm_id share: workers, and plugins of the same vm_id.
//!
//! ```
//! use attache::prelude::*;
//! use attache::shared::Shared;
//!
//! struct Quota { used: Shared<u64> }
//!
//! impl HttpFilter for Quota {
//!     type Config = ();
//!
//!     fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
//!         Ok(Self { used: plugin.shared("quota.used") })
//!     }
//!
//!     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
//!         let used = self.used.update(|used| used.unwrap_or(0).saturating_add(1))?;
//!         if used > 1_000 {
//!             return Ok(Response::local(StatusCode::TOO_MANY_REQUESTS, "enough for today\n"));
//!         }
//!         next.run(request).await
//!     }
//! }
//! ```
//!
//! A value stays until the last VM of its vm_id is gone; nothing takes it away before, and nothing
//! bounds how many there are. So a key is not made of what a client sends, unless the values are few:
//! [`Cache`](crate::Cache) has a bound. Keys of all plugins of a vm_id are in one space: begin them with
//! the filter's name. A reload keeps the data as long as the vm_id stays the same.
//!
//! What another version of the filter wrote may not be what this one reads: give the key a new name when
//! the value's shape changes.

mod value;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use crate::error::Error;
use crate::host::shared;
use crate::plugin::Plugin;
use crate::status::{HostError, Status};

pub use self::value::{Json, Value};

/// How often a change is tried that others keep coming before. Each time, another worker got through:
/// that all of them come first this often means more writers than a machine has threads.
const ATTEMPTS: u32 = 100;

/// The number that a key which nobody set is written with. The host takes any for a new key; this one
/// makes the first of two writers win, where 0 would overwrite.
const NOBODY: u32 = u32::MAX;

/// A shared value of one type, under one key.
///
/// ```
/// use attache::shared::Shared;
///
/// fn raise(highest: &Shared<u64>, seen: u64) -> Result<u64, attache::Error> {
///     highest.update(|before| before.unwrap_or(0).max(seen))
/// }
/// ```
pub struct Shared<T> {
    key: Cow<'static, str>,
    kind: PhantomData<fn() -> T>,
}

impl Plugin {
    /// The shared value of this key. No host call.
    ///
    /// ```
    /// use attache::Plugin;
    /// use attache::shared::{Json, Shared};
    ///
    /// /// Tenants and what each has used, as JSON.
    /// type Usage = Json<std::collections::BTreeMap<String, u64>>;
    ///
    /// fn usage(plugin: &Plugin) -> Shared<Usage> {
    ///     plugin.shared("quota.usage")
    /// }
    /// ```
    #[must_use]
    pub fn shared<T: Value>(&self, key: impl Into<Cow<'static, str>>) -> Shared<T> {
        Shared::new(key)
    }
}

impl<T: Value> Shared<T> {
    /// The shared value of this key. No host call.
    ///
    /// ```
    /// use attache::shared::Shared;
    ///
    /// /// One value for each of a few tiers, whose names the operator chooses.
    /// fn used(tier: &str) -> Shared<u64> {
    ///     Shared::new(format!("quota.used.{tier}"))
    /// }
    /// ```
    #[must_use]
    pub fn new(key: impl Into<Cow<'static, str>>) -> Self {
        Self {
            key: key.into(),
            kind: PhantomData,
        }
    }

    /// The value, or `None` when nobody has set it. One host call.
    ///
    /// ```
    /// use attache::Error;
    /// use attache::shared::Shared;
    ///
    /// fn is_maintained(maintenance: &Shared<bool>) -> Result<bool, Error> {
    ///     Ok(maintenance.get()?.unwrap_or(false))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses, and when the bytes that are there are no `T`.
    pub fn get(&self) -> Result<Option<T>, Error> {
        Ok(self.read()?.map(|(value, _)| value))
    }

    /// Sets the value, whatever is there. One host call.
    ///
    /// What depends on the value before belongs into [`update`](Self::update).
    ///
    /// ```
    /// use attache::Error;
    /// use attache::shared::Shared;
    ///
    /// /// All workers see it with their next request.
    /// fn begin_maintenance(maintenance: &Shared<bool>) -> Result<(), Error> {
    ///     maintenance.set(&true)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses.
    pub fn set(&self, value: &T) -> Result<(), Error> {
        self.write(value, 0)?;
        Ok(())
    }

    /// Changes the value, and answers the one that was written. `change` gets the value that is there,
    /// and runs again when another worker was faster. Two host calls, and two more each time.
    ///
    /// ```
    /// use attache::Error;
    /// use attache::shared::Shared;
    ///
    /// /// The number of a request, over all workers.
    /// fn number(requests: &Shared<u64>) -> Result<u64, Error> {
    ///     requests.update(|before| before.unwrap_or(0) + 1)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_update`](Self::try_update).
    pub fn update(&self, mut change: impl FnMut(Option<T>) -> T) -> Result<T, Error> {
        let written = self.try_update(|before| Some(change(before)))?;
        // `change` always makes a value, so there is one.
        written.ok_or_else(|| Error::misuse("a shared value was not changed"))
    }

    /// Changes the value, unless `change` answers `None`: then nothing is written, and `None` is the
    /// answer.
    ///
    /// ```
    /// # use attache::shared::Shared;
    /// # fn call(tokens: &Shared<u64>) -> Result<bool, attache::Error> {
    /// let taken = tokens.try_update(|left| left.unwrap_or(100).checked_sub(1))?;
    /// # Ok(taken.is_some())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses, when the bytes that are there are no `T`, and, with
    /// [`Status::CAS_MISMATCH`], when others were faster a hundred times.
    pub fn try_update(
        &self,
        mut change: impl FnMut(Option<T>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let mut refused = HostError {
            call: "proxy_set_shared_data",
            status: Status::CAS_MISMATCH,
        };
        for _ in 0..ATTEMPTS {
            let (before, cas) = match self.read()? {
                Some((value, cas)) => (Some(value), cas),
                None => (None, NOBODY),
            };
            let Some(after) = change(before) else {
                return Ok(None);
            };
            match self.write(&after, cas) {
                Ok(()) => return Ok(Some(after)),
                Err(cause) if cause.status == Status::CAS_MISMATCH => refused = cause,
                Err(cause) => return Err(cause.into()),
            }
        }
        Err(refused.into())
    }

    fn read(&self) -> Result<Option<(T, u32)>, Error> {
        let Some((bytes, cas)) = shared::data(self.key.as_bytes())? else {
            return Ok(None);
        };
        match T::decode(bytes) {
            Some(value) => Ok(Some((value, cas))),
            None => Err(Error::garbled("proxy_get_shared_data")),
        }
    }

    fn write(&self, value: &T, cas: u32) -> Result<(), HostError> {
        shared::set_data(self.key.as_bytes(), &value.encode(), cas)
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Shared").field(&self.key).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::host::double::{self, Answer};

    fn number(value: u64) -> Answer {
        Answer::bytes(value.to_le_bytes()).number(7)
    }

    #[test]
    fn a_change_runs_again_when_another_worker_was_faster() {
        double::answer([number(1), Answer::status(8), number(5), Answer::ok()]);
        let seen = Shared::<u64>::new("k").update(|before| before.unwrap() + 1);
        assert_eq!(seen.unwrap(), 6);
        let written = double::made();
        assert_eq!(written[1].bytes, 2_u64.to_le_bytes());
        assert_eq!(written[3].bytes, 6_u64.to_le_bytes());
    }

    #[test]
    fn a_change_that_never_gets_through_is_an_error_in_the_end() {
        double::answer([Answer::status(8)]);
        let shared = Shared::<u64>::new("k");
        // The reading fails too, so the number of tries shows with a key that is always there.
        let pairs = (0..300).flat_map(|_| [number(1), Answer::status(8)]);
        double::answer(pairs);
        let error = shared.update(|before| before.unwrap()).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Host(cause) if cause.status == Status::CAS_MISMATCH)
        );
        assert_eq!(double::calls().len(), 200);
    }

    #[test]
    fn nothing_is_written_where_nothing_is_to_be_changed() {
        double::answer([number(0), Answer::ok()]);
        let taken = Shared::<u64>::new("k").try_update(|left| left?.checked_sub(1));
        assert_eq!(taken.unwrap(), None);
        assert_eq!(double::calls(), ["proxy_get_shared_data"]);
    }

    #[test]
    fn what_is_of_another_shape_is_an_error_and_not_overwritten() {
        double::answer([Answer::bytes("seven")]);
        let error = Shared::<u64>::new("k").update(|_| 1).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Garbled { .. }));
        assert_eq!(double::calls(), ["proxy_get_shared_data"]);
    }

    #[test]
    fn whatever_the_host_answers_is_a_value_or_an_error() {
        for answer in double::hostile() {
            let status = answer.status;
            double::answer([answer]);
            let _ = Shared::<u64>::new("k").get();
            let _ = Shared::<String>::new("k").get();
            let _ = Shared::<Json<Vec<bool>>>::new("k").get();
            assert_eq!(Shared::<Vec<u8>>::new("k").get().is_ok(), status < 2);
            assert_eq!(Shared::<u64>::new("k").set(&1).is_ok(), status == 0);
            let _ = Shared::<Vec<u8>>::new("k").update(|before| before.unwrap_or_default());
        }
    }
}
