//! How far the times of a play on a real Envoy came away from those that it had on the harness.

use std::time::Duration;

use crate::seen::{Line, Seen};

/// How much later things came on Envoy than what was before them, by the times of their lines in the log.
/// What lay further apart than that came in its order. That something comes early is no doing of a busy machine.
///
/// It is looked at as far as the logs are alike, and at the first lines that differ, where they stand
/// elsewhere in the other log.
pub(crate) fn drift(harness: &Seen, envoy: &Seen) -> Duration {
    let (ours, theirs) = (&harness.log, &envoy.log);
    let alike = ours
        .iter()
        .zip(theirs)
        .take_while(|(one, other)| one == other)
        .count();
    let (our_rest, their_rest) = (&ours[alike..], &theirs[alike..]);
    let mut pairs: Vec<(&Line, &Line)> = ours.iter().zip(theirs).take(alike).collect();
    // In the order of the harness, which is all that tells lines of one time there apart.
    if let Some(line) = our_rest.first() {
        let same = their_rest.iter().find(|other| *other == line);
        pairs.extend(same.map(|other| (line, other)));
    }
    if let Some(line) = their_rest.first() {
        let same = our_rest.iter().find(|other| *other == line);
        pairs.extend(same.map(|other| (other, line)));
    }
    let times = pairs
        .into_iter()
        .filter_map(|(one, other)| Some((one.time()?, other.time()?)));
    let mut times: Vec<(Duration, Duration)> = times.collect();
    times.sort_by_key(|(ours, _)| *ours);
    let (mut drift, mut least) = (0, i128::MAX);
    for (ours, theirs) in times {
        let micros = |time: Duration| i128::try_from(time.as_micros()).unwrap_or(i128::MAX);
        let late = micros(theirs).saturating_sub(micros(ours));
        least = least.min(late);
        drift = drift.max(late.saturating_sub(least));
    }
    Duration::from_micros(u64::try_from(drift).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(lines: &[(&str, u64)]) -> Seen {
        let line = |(message, time): &(&str, u64)| {
            let time = Some(Duration::from_millis(*time));
            Line::new("info", "a", message).at(time)
        };
        Seen {
            log: lines.iter().map(line).collect(),
            ..Seen::default()
        }
    }

    #[test]
    fn a_play_that_begins_late_has_not_drifted() {
        let ours = seen(&[("a", 0), ("b", 200)]);
        assert_eq!(
            drift(&ours, &seen(&[("a", 5_000), ("b", 5_210)])),
            Duration::from_millis(10)
        );
        assert_eq!(drift(&ours, &seen(&[])), Duration::ZERO);
    }

    #[test]
    fn lines_that_changed_places_tell_how_late_one_of_them_was() {
        let ours = seen(&[("start", 0), ("piece", 40), ("tick", 240)]);
        let theirs = seen(&[("start", 0), ("tick", 241), ("piece", 250)]);
        assert_eq!(drift(&ours, &theirs), Duration::from_millis(210));
    }

    #[test]
    fn what_comes_early_is_not_late() {
        let ours = seen(&[("start", 0), ("next", 500)]);
        let theirs = seen(&[("start", 0), ("other", 5), ("next", 20)]);
        assert_eq!(drift(&ours, &theirs), Duration::ZERO);
    }

    #[test]
    fn what_comes_early_and_is_of_one_time_on_the_harness_makes_nothing_late() {
        let ours = seen(&[("start", 0), ("tick", 246), ("end", 246)]);
        let theirs = seen(&[("start", 0), ("end", 1), ("tick", 246)]);
        assert_eq!(drift(&ours, &theirs), Duration::ZERO);
    }

    #[test]
    fn what_only_one_saw_has_no_time_to_compare() {
        let ours = seen(&[("start", 0), ("more", 100), ("end", 900)]);
        let theirs = seen(&[("start", 7), ("end", 2_000)]);
        assert_eq!(drift(&ours, &theirs), Duration::from_millis(1_093));
        let theirs = seen(&[("start", 7), ("other", 2_000)]);
        assert_eq!(drift(&ours, &theirs), Duration::ZERO);
    }
}
