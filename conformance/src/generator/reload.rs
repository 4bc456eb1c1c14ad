//! A plugin that is replaced in the middle.

use serde_json::{Value, json};

use super::chain::Chain;
use super::draw::Draw;

/// Puts a replacement somewhere between the first request and the last, when nothing is due.
pub(super) fn insert(draw: &mut Draw, chain: &Chain, steps: &mut Value) {
    let Some(steps) = steps.as_array_mut() else {
        return;
    };
    let mut reload = json!({ "plugin": chain.replaced_name(), "configuration": chain.replacement });
    match draw.between(0, 9) {
        0 => {
            reload["configuration"] = json!({ "configure": [{ "return": 0 }] });
            reload["refused"] = json!({ "contains": "" });
        }
        1 | 2 => reload["vm_configuration"] = json!("another"),
        3 => reload["environment"] = json!({ "KEY": "another" }),
        _ => {}
    }
    let requests = steps.iter().enumerate();
    let requests = requests.filter(|(_, step)| step.get("request").is_some());
    let places: Vec<usize> = requests.map(|(place, _)| place).skip(1).collect();
    let place = draw.one_of(&places);
    let place = if place == 0 { steps.len() } else { place };
    let calm = json!({ "wait": "1500ms" });
    steps.splice(place..place, [calm, json!({ "reload": reload })]);
}
