//! `proxy_get_configuration`, which ABI 0.1.0 has in place of buffers 6 and 7.

use crate::call::{Answer, Call};
use crate::mutation::Rule;
use crate::vm::Phase;

/// The plugin's configuration inside of `proxy_on_configure`, otherwise the VM's.
pub(crate) fn get(call: &mut Call<'_>, configuration: u32, size: u32) -> Answer {
    let state = call.state();
    let plugins = &state.world.plugins;
    let bytes = match state.context() {
        Some(context)
            if (state.phase == Phase::Configure)
                != state.world.mutated(Rule::OldConfigurationsAreSwapped) =>
        {
            plugins[context.plugin].configuration.clone()
        }
        _ => plugins[state.first_plugin].vm_configuration.clone(),
    };
    call.give(&bytes, configuration, size)
}
