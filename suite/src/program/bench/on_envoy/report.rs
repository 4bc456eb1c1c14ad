//! What was measured, and no more.

use serde_json::{Value, json};

use super::interval::Median;

/// The turns of a filter and of the listeners without one, in microseconds a request, round by round.
#[derive(Debug)]
pub(in crate::program::bench) struct Measured {
    pub(super) subject: String,
    pub(super) bench: &'static str,
    pub(super) envoy: String,
    pub(super) without: Vec<f64>,
    pub(super) again: Vec<f64>,
    pub(super) with: Vec<f64>,
    pub(super) status_without: u16,
    pub(super) status: u16,
    /// To each listener.
    pub(super) requests: usize,
}

/// What may be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    More,
    Less,
    /// The interval holds 1.
    NotTold,
    /// The same Envoy differs from itself.
    Uneven,
    /// The filter has another answer given than the upstream's.
    OtherWork,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::More => "more",
            Self::Less => "less",
            Self::NotTold => "not-told-apart",
            Self::Uneven => "uneven",
            Self::OtherWork => "other-work",
        }
    }
}

impl Measured {
    /// With the filter to without it.
    fn ratio(&self) -> Median {
        Median::of_ratio(&self.with, &self.without)
    }

    /// Without to without: what this machine calls a difference where there is none.
    fn noise(&self) -> Median {
        Median::of_ratio(&self.again, &self.without)
    }

    fn added(&self) -> Median {
        let pairs = self.with.iter().zip(&self.without);
        Median::of(pairs.map(|(with, without)| with - without).collect())
    }

    fn verdict(&self) -> Verdict {
        let (ratio, noise) = (self.ratio(), self.noise());
        // As far as the same is from itself, a difference says nothing.
        let reach = (noise.high - 1.0).max(1.0 - noise.low).max(0.0);
        if self.status != self.status_without {
            Verdict::OtherWork
        } else if noise.low > 1.0 || noise.high < 1.0 {
            Verdict::Uneven
        } else if ratio.low > 1.0 + reach {
            Verdict::More
        } else if ratio.high < 1.0 - reach {
            Verdict::Less
        } else {
            Verdict::NotTold
        }
    }

    pub(in crate::program::bench) fn to_text(&self) -> String {
        let (ratio, noise, added) = (self.ratio(), self.noise(), self.added());
        let with = Median::of(self.with.clone());
        let without = Median::of(self.without.clone());
        let mut text = format!(
            "{} in Envoy {}: {}, {}; {} requests to each listener in {} rounds\n",
            self.subject,
            self.envoy,
            self.bench,
            self.status,
            self.requests,
            self.with.len()
        );
        let mut row = |what: &str, median: Median, digits: usize, unit: &str| {
            let Median { value, low, high } = median;
            text.push_str(&format!(
                "  {what:<28} {value:>8.digits$}{unit} ({low:.digits$} to {high:.digits$})\n"
            ));
        };
        row("without a filter", without, 1, " us");
        row("with it", with, 1, " us");
        row("the difference", added, 1, " us");
        row("with to without", ratio, 3, "   ");
        row("without to without", noise, 3, "   ");
        text.push_str("  ");
        text.push_str(&match self.verdict() {
            Verdict::More => format!(
                "a request takes {:.1} to {:.1} % more of the processor with it (95 %)",
                (ratio.low - 1.0) * 100.0,
                (ratio.high - 1.0) * 100.0
            ),
            Verdict::Less => format!(
                "a request takes {:.1} to {:.1} % less of the processor with it (95 %)",
                (1.0 - ratio.high) * 100.0,
                (1.0 - ratio.low) * 100.0
            ),
            Verdict::NotTold => {
                "no difference is told: it is not larger than what the same listener has twice; more \
                 --rounds tell finer"
                    .to_owned()
            }
            Verdict::Uneven => {
                "nothing is claimed: the same listener twice differs from itself; end what else runs on \
                 this machine, or take more --rounds"
                    .to_owned()
            }
            Verdict::OtherWork => format!(
                "nothing is claimed: the answer is {} with it and {} without, which is not the same work",
                self.status, self.status_without
            ),
        });
        text.push('\n');
        text
    }

    /// One line for programs.
    pub(in crate::program::bench) fn to_json(&self) -> Value {
        let interval = |Median { value, low, high }| json!([low, value, high]);
        json!({
            "subject": self.subject,
            "bench": self.bench,
            "on": "envoy",
            "envoy": self.envoy,
            "status": self.status,
            "status_without": self.status_without,
            "rounds": self.with.len(),
            "requests": self.requests,
            "microseconds": interval(Median::of(self.with.clone())),
            "microseconds_without": interval(Median::of(self.without.clone())),
            "microseconds_added": interval(self.added()),
            "ratio": interval(self.ratio()),
            "ratio_of_nothing": interval(self.noise()),
            "verdict": self.verdict().name(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty rounds in which the machine gets slower, and a factor for what is measured.
    fn measured(again: f64, with: f64, spread: f64) -> Measured {
        let round = |factor: f64, shift: usize| {
            let one = move |number: usize| {
                let noise = ((number * 7 + shift) % 5) as f64 - 2.0;
                (30.0 + number as f64 / 10.0) * (factor + noise * spread)
            };
            (0..40).map(one).collect::<Vec<f64>>()
        };
        Measured {
            subject: "x".to_owned(),
            bench: "get",
            envoy: "1.40.0".to_owned(),
            without: round(1.0, 0),
            again: round(again, 1),
            with: round(with, 3),
            status_without: 200,
            status: 200,
            requests: 40,
        }
    }

    #[test]
    fn a_difference_is_claimed_where_it_is_larger_than_that_of_the_same() {
        assert_eq!(measured(1.0, 1.2, 0.01).verdict(), Verdict::More);
        assert_eq!(measured(1.0, 0.8, 0.01).verdict(), Verdict::Less);
    }

    #[test]
    fn what_is_within_the_noise_is_not_claimed() {
        assert_eq!(measured(1.0, 1.0, 0.01).verdict(), Verdict::NotTold);
        assert_eq!(measured(1.0, 1.02, 0.05).verdict(), Verdict::NotTold);
        let text = measured(1.0, 1.0, 0.01).to_text();
        assert!(text.contains("no difference is told"), "{text}");
    }

    #[test]
    fn an_uneven_machine_and_other_answers_claim_nothing() {
        let uneven = measured(1.3, 1.4, 0.01);
        assert_eq!(uneven.verdict(), Verdict::Uneven);
        assert!(uneven.to_text().contains("nothing is claimed"));
        let mut denied = measured(1.0, 0.5, 0.01);
        denied.status = 403;
        assert_eq!(denied.verdict(), Verdict::OtherWork);
        assert_eq!(denied.to_json()["verdict"], "other-work");
    }
}
