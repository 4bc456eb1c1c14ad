//! Measurements as a person reads them.

use attache_harness::{Cost, PhaseCost};

use super::measure::{Measurement, START, total};

/// The columns of figures, each this wide.
const COLUMNS: [&str; 5] = ["fuel", "host calls", "crossings", "bytes copied", "grown"];
const COLUMN: usize = 13;

/// All measurements of one subject.
pub(super) fn of(measured: &[Measurement]) -> String {
    let Some(first) = measured.first() else {
        return String::new();
    };
    let names = measured
        .iter()
        .flat_map(|it| &it.phases)
        .map(|phase| label(phase, measured).len());
    let wide = names.max().unwrap_or(0).max(24) + 4;
    let mut text = format!("{:<wide$}", first.subject);
    for name in COLUMNS {
        text.push_str(&format!("{name:>COLUMN$}"));
    }
    text.push('\n');
    for measurement in measured {
        text.push_str(&format!("  {}{}\n", measurement.bench, how(measurement)));
        for phase in &measurement.phases {
            let name = label(phase, measured);
            let name = match phase.calls {
                1 => name,
                calls => format!("{name} x{calls}"),
            };
            text.push_str(&row(
                &format!("    {name}"),
                wide,
                &phase.cost,
                phase.memory,
            ));
        }
        let (cost, grown) = total(&measurement.phases);
        text.push_str(&row("    all", wide, &cost, grown));
    }
    for measurement in measured {
        text.push_str(&memory(measurement));
    }
    text
}

/// A callback; with its plugin where there are several.
fn label(phase: &PhaseCost, measured: &[Measurement]) -> String {
    let mut plugins = measured
        .iter()
        .flat_map(|it| &it.phases)
        .map(|it| &it.plugin);
    let name = phase
        .callback
        .strip_prefix("proxy_on_")
        .unwrap_or(phase.callback);
    if plugins.all(|plugin| *plugin == phase.plugin) {
        name.to_owned()
    } else {
        format!("{}: {name}", phase.plugin)
    }
}

fn how(measurement: &Measurement) -> String {
    match &measurement.ended {
        Some(ended) => format!(", {ended}"),
        None if measurement.bench == START => ", once a VM".to_owned(),
        None => String::new(),
    }
}

fn row(name: &str, wide: usize, cost: &Cost, grown: u64) -> String {
    let mut text = format!("{name:<wide$}");
    for figure in [
        cost.fuel,
        cost.host_calls,
        cost.crossings,
        cost.bytes_copied,
        grown,
    ] {
        text.push_str(&format!("{:>COLUMN$}", grouped(figure)));
    }
    text.push('\n');
    text
}

fn memory(measurement: &Measurement) -> String {
    let mut text = String::new();
    if let Some(bytes) = measurement.memory {
        text.push_str(&format!(
            "  memory of a VM, started: {} bytes\n",
            grouped(bytes)
        ));
    }
    if let Some(growth) = measurement.growth.filter(|growth| *growth > 0) {
        let growth = grouped(growth.unsigned_abs());
        text.push_str(&format!(
            "  memory grew by {growth} bytes over 1,000 requests of `{}`\n",
            measurement.bench
        ));
    }
    text
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        let shown: Vec<_> = [0, 999, 1_000, 1_234_567].map(grouped).into();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
