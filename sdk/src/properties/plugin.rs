//! The plugin itself. There in every callback.

use super::Property;

/// Its name in Envoy's configuration.
pub const NAME: Property<String> = Property::new("plugin_name");

/// The root id that selects its filter.
pub const ROOT_ID: Property<String> = Property::new("plugin_root_id");

/// The vm_id that shared data and queues belong to.
pub const VM_ID: Property<String> = Property::new("plugin_vm_id");
