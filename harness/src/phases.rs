//! What each callback costs.

use crate::budgets::Cost;
use crate::host::{Host, HostBuilder};

/// What the calls of one callback cost, by a plugin, in the first worker.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PhaseCost {
    /// The plugin's name.
    pub plugin: String,
    /// The export, such as `proxy_on_request_headers`.
    pub callback: &'static str,
    /// How often it was called.
    pub calls: u64,
    /// What all calls cost together.
    pub cost: Cost,
    /// The bytes that linear memory grew by in them.
    pub memory: u64,
}

/// The costs so far, in the order in which callbacks were called first.
#[derive(Debug, Default)]
pub(crate) struct Phases(Vec<PhaseCost>);

impl Phases {
    pub(crate) fn add(&mut self, plugin: &str, callback: &'static str, cost: Cost, memory: u64) {
        let known = |phase: &PhaseCost| phase.callback == callback && phase.plugin == plugin;
        let at = self.0.iter().position(known).unwrap_or_else(|| {
            self.0.push(PhaseCost {
                plugin: plugin.to_owned(),
                callback,
                calls: 0,
                cost: Cost::default(),
                memory: 0,
            });
            self.0.len() - 1
        });
        let phase = &mut self.0[at];
        phase.calls += 1;
        phase.memory += memory;
        phase.cost.fuel += cost.fuel;
        phase.cost.crossings += cost.crossings;
        phase.cost.host_calls += cost.host_calls;
        phase.cost.bytes_copied += cost.bytes_copied;
    }
}

impl Host {
    /// What callbacks of the first worker cost since the host began to start, or since this was asked before;
    /// in the order in which each was called first. Nothing unless [`HostBuilder::count_phases`].
    pub fn take_phases(&mut self) -> Vec<PhaseCost> {
        let phases = self.proxy.world.phases.as_mut();
        phases.map_or_else(Vec::new, |phases| std::mem::take(&mut phases.0))
    }
}

impl HostBuilder {
    /// Counts what each callback costs, for [`Host::take_phases`].
    pub fn count_phases(mut self) -> Self {
        self.phases = Some(Phases::default());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Plugin;
    use crate::request::Request;

    /// Grows its memory by a page with each request, and makes one host call.
    const GUEST: &str = r#"(module
      (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
      (memory (export "memory") 1)
      (func (export "proxy_abi_version_0_2_1"))
      (func (export "malloc") (param i32) (result i32) i32.const 1024)
      (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (memory.grow (i32.const 1)))
        (drop (call $tick (i32.const 0)))
        i32.const 0))"#;

    #[test]
    fn each_callback_of_the_first_worker_is_counted_by_itself() {
        let plugin = Plugin::from_bytes("grows", wat::parse_str(GUEST).unwrap());
        let mut host = Host::builder()
            .plugin(plugin)
            .count_phases()
            .start()
            .unwrap();
        let start: Vec<_> = host.take_phases();
        let names: Vec<_> = start
            .iter()
            .map(|phase| (phase.callback, phase.calls))
            .collect();
        assert_eq!(names, [("proxy_on_configure", 1)]);

        let cost = host.send(Request::get("/")).unwrap().cost();
        host.send(Request::get("/")).unwrap();
        let [phase] = &host.take_phases()[..] else {
            panic!("one callback");
        };
        assert_eq!(phase.plugin, "grows");
        assert_eq!(phase.callback, "proxy_on_request_headers");
        assert_eq!((phase.calls, phase.cost.host_calls), (2, 2));
        assert_eq!(phase.cost.fuel, 2 * cost.fuel);
        assert_eq!(phase.cost.crossings, 2 * cost.crossings);
        assert_eq!(phase.memory, 2 << 16);
        assert!(host.take_phases().is_empty());
    }

    #[test]
    fn nothing_is_counted_unless_asked_for() {
        let plugin = Plugin::from_bytes("grows", wat::parse_str(GUEST).unwrap());
        let mut host = Host::with(plugin).unwrap();
        host.send(Request::get("/")).unwrap();
        assert!(host.take_phases().is_empty());
    }
}
