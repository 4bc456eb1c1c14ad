//! What two hosts saw of one case, side by side.

use crate::chance::Chance;
use crate::check::Difference;
use crate::seen::Seen;

/// All that the harness saw otherwise than Envoy; `expected` is Envoy's, because it is right.
pub(crate) fn compare(harness: &Seen, envoy: &Seen) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut chance = Chance::default();
    let mut compare = |key: String, harness: String, envoy: String| {
        if harness != envoy && !chance.same(&harness, &envoy) {
            let (harness, envoy) = changed(&harness, &envoy, |one, other| chance.same(one, other));
            differences.push(Difference {
                key,
                expected: format!("on Envoy:\n{envoy}"),
                found: format!("on the harness:\n{harness}"),
                keys: Vec::new(),
                fix: None,
            });
        }
    };
    for (number, (ours, theirs)) in harness.streams.iter().zip(&envoy.streams).enumerate() {
        let key = |what: &str| {
            if harness.streams.len() == 1 {
                what.to_owned()
            } else {
                format!("request {number}: {what}")
            }
        };
        compare(
            key("upstream"),
            format!("{:#?}", ours.upstream),
            format!("{:#?}", theirs.upstream),
        );
        compare(
            key("downstream"),
            format!("{:#?}", ours.downstream),
            format!("{:#?}", theirs.downstream),
        );
        compare(
            key("access log"),
            format!("{:#?}", ours.access),
            format!("{:#?}", theirs.access),
        );
    }
    let reloads = |seen: &Seen| -> Vec<String> {
        let word = |refused: bool| if refused { "refused" } else { "accepted" };
        let reloads = seen.reloads.iter();
        reloads
            .map(|refusal| word(refusal.is_some()).to_owned())
            .collect()
    };
    compare(
        "reloads".to_owned(),
        reloads(harness).join("\n"),
        reloads(envoy).join("\n"),
    );
    let connections = harness.connections.iter().zip(&envoy.connections);
    for (number, (ours, theirs)) in connections.enumerate() {
        compare(
            format!("connection {number}"),
            format!("{ours:#?}"),
            format!("{theirs:#?}"),
        );
    }
    compare("log".to_owned(), lines(harness), lines(envoy));
    let calls = |seen: &Seen| format!("{:#?}", seen.calls);
    compare("calls".to_owned(), calls(harness), calls(envoy));
    let counters = |seen: &Seen| format!("{:#?}", seen.counters);
    compare("counters".to_owned(), counters(harness), counters(envoy));
    let histograms = |seen: &Seen| format!("{:#?}", seen.histograms);
    compare(
        "histograms".to_owned(),
        histograms(harness),
        histograms(envoy),
    );
    let gauges = |seen: &Seen| format!("{:#?}", seen.gauges);
    compare("gauges".to_owned(), gauges(harness), gauges(envoy));
    differences
}

fn lines(seen: &Seen) -> String {
    let lines: Vec<String> = seen.log.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Both texts without the lines at their beginning and end that are the same by `alike`, but for one to find
/// one's way by.
fn changed(one: &str, other: &str, mut alike: impl FnMut(&str, &str) -> bool) -> (String, String) {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.lines().collect(), other.lines().collect());
    let mut same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| {
        pairs.take_while(|(one, other)| alike(one, other)).count()
    };
    let start = same(&mut one.iter().zip(&other));
    let shorter = one.len().min(other.len()) - start;
    let end = same(&mut one.iter().rev().zip(other.iter().rev())).min(shorter);
    let part = |lines: &[&str]| {
        let shown = &lines[start.saturating_sub(1)..(lines.len() - end + 1).min(lines.len())];
        let shown: Vec<String> = shown.iter().map(|line| format!("    {line}")).collect();
        shown.join("\n")
    };
    (part(&one), part(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown_with_a_line_around_it() {
        let (one, other) = changed("a\nb\nc\nd\ne", "a\nb\nx\ny\nd\ne", |one, other| {
            one == other
        });
        assert_eq!(one, "    b\n    c\n    d");
        assert_eq!(other, "    b\n    x\n    y\n    d");
        let (one, other) = changed("a\na", "a\na\na", |one, other| one == other);
        assert_eq!(one, "    a");
        assert_eq!(other, "    a\n    a");
    }
}
