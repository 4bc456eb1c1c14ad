//! How near things lie to one another that happen at times of their own.

use std::time::Duration;

use attache_harness::{Host, Source};

/// Whether a real Envoy can keep the order that a play on the harness had.
///
/// There the clock stands while something happens; on a real Envoy what is due at nearly one time
/// happens in any order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Pace {
    /// The shortest time between two things whose order nothing but the clock tells, since both were to
    /// come before either did: ticks of two roots, the answers of two clusters, a request that follows a
    /// wait. The longest time where there are no two.
    pub closest: Duration,
    /// The same for call-outs to one cluster, which takes the same time for each: they are answered as far
    /// from one another as they were made.
    pub closest_calls: Duration,
    /// How long after the end of the play the next thing would have happened, if any.
    pub left: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            closest: Duration::MAX,
            closest_calls: Duration::MAX,
            left: None,
        }
    }
}

/// What is due in a play, so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paced {
    /// From when to when the client waited.
    client: Vec<(Duration, Duration)>,
    /// When the client did what takes no time on the harness and some on Envoy.
    acted: Vec<Act>,
}

/// What the client does may take so long on Envoy: a plugin is replaced, or nothing more comes of a piece.
const ACT: Duration = Duration::from_secs(4);

/// Something that the client did.
#[derive(Clone, Copy, Debug)]
struct Act {
    time: Duration,
    /// So many appointments had been made.
    before: usize,
}

impl Act {
    /// Whether something was due that may come while it lasts.
    fn is_interrupted(&self, host: &Host) -> bool {
        let pending = host.appointments().iter().take(self.before);
        let mut pending = pending.filter(|one| {
            let kept = one.called_off.is_none_or(|time| time > self.time);
            kept && one.due > self.time
        });
        pending.any(|one| one.due - self.time < ACT)
    }
}

/// Whose doing something is.
#[derive(Clone, Copy, PartialEq)]
enum Whose {
    Client,
    Host(Source),
}

impl Whose {
    fn asks_with(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Host(one), Self::Host(other)) if one.asks_with(other))
    }
}

impl Paced {
    /// The client has waited until now, from a time on.
    pub(crate) fn waited(&mut self, since: Duration, host: &Host) {
        self.client.push((since, host.now()));
    }

    /// The client does now what takes its time on Envoy: nothing else may be due meanwhile.
    pub(crate) fn acts(&mut self, host: &Host) {
        self.acted.push(Act {
            time: host.now(),
            before: host.appointments().len(),
        });
    }

    /// The pace of a play that is over.
    pub(crate) fn pace(&self, host: &Host) -> Pace {
        let now = host.now();
        let mut due: Vec<(Duration, Duration, Whose)> = Vec::new();
        let mut pace = Pace::default();
        for one in host.appointments() {
            match one.called_off {
                // It might have been too late for that.
                Some(time) => pace.closest = pace.closest.min(one.due - time),
                None => {
                    due.push((one.made, one.due, Whose::Host(one.source)));
                    if let Some(left) = one.due.checked_sub(now).filter(|left| !left.is_zero()) {
                        pace.left = Some(pace.left.map_or(left, |other| other.min(left)));
                    }
                }
            }
        }
        if self.acted.iter().any(|acted| acted.is_interrupted(host)) {
            pace.closest = Duration::ZERO;
        }
        let client = self.client.iter();
        due.extend(client.map(|(since, time)| (*since, *time, Whose::Client)));
        due.sort_by_key(|(_, time, _)| *time);
        for (number, (made, time, whose)) in due.iter().enumerate() {
            let earlier = due.iter().take(number).rev();
            let together = earlier.take_while(|(_, before, _)| before > made);
            for (_, before, other) in together.filter(|(_, _, other)| other != whose) {
                let closest = if whose.asks_with(other) {
                    &mut pace.closest_calls
                } else {
                    &mut pace.closest
                };
                *closest = (*closest).min(*time - *before);
            }
        }
        pace
    }
}
