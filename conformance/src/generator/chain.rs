//! The plugins of a case.

use std::cell::Cell as Shared;

use serde_json::{Value, json};

use super::draw::Draw;
use super::script::{self, Drawn, Role};
use super::times::Times;
use crate::coverage::{Cell, ONLY_0_1_0, ONLY_0_2_1, ONLY_SINCE_0_2_0};

/// Where a plugin stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Entry {
    Http,
    Tcp,
    Logger,
}

/// What a listener has.
pub(super) struct Chain {
    pub(super) plugins: Value,
    pub(super) loggers: Value,
    /// Whether one of the plugins is replaced, and what by.
    pub(super) reloads: bool,
    pub(super) replacement: Value,
    /// Which one.
    pub(super) replaced: usize,
}

impl Chain {
    pub(super) fn draw(
        draw: &mut Draw,
        times: &Times,
        seed: u64,
        planted: Option<Cell>,
        entry: Entry,
    ) -> Self {
        let count: usize = draw.weighted(&[(4, 1), (3, 2), (2, 3)]);
        let shared_vm = draw.chance(25);
        let reloads = entry == Entry::Http && draw.chance(4);
        // Connections and reloads take times of their own.
        let slow = Shared::new(entry == Entry::Http && !reloads);
        let awaited = Shared::new(draw.between(0, 4) as usize);
        let drawn = Drawn {
            seed,
            slow: &slow,
            times,
            awaited: &awaited,
        };
        let of_logger = |cell: &Cell| cell.callback == "access_log";
        let planter = draw.between(0, u32::try_from(count).unwrap_or(1).saturating_sub(1)) as usize;
        let mut plugins = Vec::new();
        for (number, name) in ["first", "second", "third"]
            .into_iter()
            .take(count)
            .enumerate()
        {
            let planted = planted.filter(|cell| number == planter && !of_logger(cell));
            let role = role(draw, entry, planted);
            let vm_id = if shared_vm { "shared" } else { name };
            plugins.push(plugin(draw, name, vm_id, &role, &drawn));
        }
        let mut loggers = Vec::new();
        let logs = planted.filter(of_logger);
        if logs.is_some() || draw.chance(8) {
            let role = role(draw, Entry::Logger, logs);
            let vm_id = if shared_vm { "shared" } else { "logger" };
            loggers.push(plugin(draw, "logger", vm_id, &role, &drawn));
        }
        let replaced =
            draw.between(0, u32::try_from(count).unwrap_or(1).saturating_sub(1)) as usize;
        let package = plugins
            .get(replaced)
            .and_then(|plugin| plugin["package"].as_str());
        let replacement = match (reloads, package) {
            (true, Some(package)) => {
                let role = Role {
                    package: known(package),
                    entry,
                    planted: None,
                };
                calm(script::script(draw, &role, &drawn))
            }
            _ => Value::Null,
        };
        Self {
            plugins: json!(plugins),
            loggers: json!(loggers),
            reloads,
            replacement,
            replaced,
        }
    }

    /// All scripts.
    pub(super) fn scripts(&self) -> Value {
        json!([self.plugins, self.loggers, self.replacement])
    }

    /// The name of the plugin that is replaced.
    pub(super) fn replaced_name(&self) -> &Value {
        &self.plugins[self.replaced]["name"]
    }
}

/// A script of a plugin that comes later, without the registrations of its start: a queue calls whoever was last, and
/// Envoy's main thread and its worker start the plugin in any order, under ids of their own.
fn calm(mut script: Value) -> Value {
    for callback in ["vm_start", "configure"] {
        if let Some(acts) = script.get_mut(callback).and_then(Value::as_array_mut) {
            acts.retain(|act| act["call"] != "register_shared_queue");
        }
    }
    script
}

fn known(package: &str) -> &'static str {
    let mut packages = ["probe-0-1-0", "probe-0-2-0"].into_iter();
    packages.find(|known| *known == package).unwrap_or("probe")
}

fn role(draw: &mut Draw, entry: Entry, planted: Option<Cell>) -> Role {
    let mut package = draw.weighted(&[(10, "probe"), (1, "probe-0-2-0"), (1, "probe-0-1-0")]);
    if let Some(cell) = planted {
        let needs = |calls: &[&str]| calls.contains(&cell.call);
        if needs(ONLY_0_1_0) {
            package = "probe-0-1-0";
        } else if needs(ONLY_0_2_1) {
            package = "probe";
        } else if package == "probe-0-1-0"
            && (needs(ONLY_SINCE_0_2_0) || cell.action == "close" || entry == Entry::Tcp)
        {
            package = "probe-0-2-0";
        }
    }
    Role {
        package,
        entry,
        planted,
    }
}

fn plugin(draw: &mut Draw, name: &str, vm_id: &str, role: &Role, drawn: &Drawn<'_>) -> Value {
    let mut plugin = json!({
        "package": role.package,
        "name": name,
        "vm_id": vm_id,
        "configuration": script::script(draw, role, drawn),
    });
    if role.entry == Entry::Http && draw.chance(30) {
        plugin["allow_on_headers_stop_iteration"] = json!(true);
    }
    if draw.chance(20) {
        plugin["failure_policy"] = json!("fail_open");
    }
    if draw.chance(10) {
        plugin["vm_configuration"] = json!("vm configuration");
    }
    if draw.chance(10) {
        plugin["environment"] = json!({ "KEY": "value" });
    }
    plugin
}
