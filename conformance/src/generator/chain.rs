//! The plugins of a case.

use std::cell::Cell;

use serde_json::{Value, json};

use super::draw::Draw;
use super::script::{self, Drawn};
use super::times::Times;

pub(super) fn plugins(draw: &mut Draw, times: &Times, seed: u64) -> Value {
    let count = draw.weighted(&[(4, 1), (3, 2), (2, 3)]);
    let shared_vm = draw.chance(25);
    let slow = Cell::new(true);
    let awaited = Cell::new(draw.between(0, 4) as usize);
    let drawn = Drawn {
        seed,
        slow: &slow,
        times,
        awaited: &awaited,
    };
    let plugins = (0..count).map(|number| {
        let package = draw.weighted(&[(10, "probe"), (1, "probe-0-2-0"), (1, "probe-0-1-0")]);
        let name = ["first", "second", "third"][number];
        let mut plugin = json!({
            "package": package,
            "name": name,
            "vm_id": if shared_vm { "shared" } else { name },
            "configuration": script::script(draw, package, &drawn),
        });
        if draw.chance(30) {
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
    });
    json!(plugins.collect::<Vec<_>>())
}
