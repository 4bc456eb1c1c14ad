//! The plugin itself. There in every callback.
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::plugin;
//!
//! /// Who says something, for a log that many plugins write.
//! fn sign() -> Result<String, Error> {
//!     Ok(format!(
//!         "plugin={:?} root={:?} vm={:?}",
//!         plugin::NAME.get()?,
//!         plugin::ROOT_ID.get()?,
//!         plugin::VM_ID.get()?,
//!     ))
//! }
//! ```

use super::Property;

/// Its name in Envoy's configuration.
pub const NAME: Property<String> = Property::new("plugin_name");

/// The root id that selects its filter.
pub const ROOT_ID: Property<String> = Property::new("plugin_root_id");

/// The vm_id that shared data and queues belong to.
pub const VM_ID: Property<String> = Property::new("plugin_vm_id");
