//! What was measured, and no more.

use serde_json::{Value, json};

use super::interval::Median;
use super::rival::Kind;

/// A listener with a filter.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Of the processor, a request, round by round.
    pub(super) microseconds: Vec<f64>,
    /// Of its answers.
    pub(super) status: u16,
}

/// The turns of a filter, of the listeners without one, and of others, in microseconds a request, round by
/// round.
#[derive(Debug)]
pub(in crate::program::bench) struct Measured {
    pub(super) with: Side,
    pub(super) bench: &'static str,
    pub(super) envoy: String,
    pub(super) without: Vec<f64>,
    pub(super) again: Vec<f64>,
    pub(super) status_without: u16,
    /// To each listener.
    pub(super) requests: usize,
    /// Other filters, each with what it does otherwise to the request.
    pub(super) others: Vec<(Side, Vec<String>)>,
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
    /// With the filter to another listener.
    fn ratio(&self, to: &[f64]) -> Median {
        Median::of_ratio(&self.with.microseconds, to)
    }

    /// Without to without: what this machine calls a difference where there is none.
    fn noise(&self) -> Median {
        Median::of_ratio(&self.again, &self.without)
    }

    /// What a request takes more than at another listener.
    fn added(&self, to: &[f64]) -> Median {
        let pairs = self.with.microseconds.iter().zip(to);
        Median::of(pairs.map(|(with, to)| with - to).collect())
    }

    fn verdict(&self, to: &[f64], status: u16) -> Verdict {
        let (ratio, noise) = (self.ratio(to), self.noise());
        // As far as the same is from itself, a difference says nothing.
        let reach = (noise.high - 1.0).max(1.0 - noise.low).max(0.0);
        if self.with.status != status {
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
        let own = &self.with.microseconds;
        let mut text = format!(
            "{} in Envoy {}: {}, {}; {} requests to each listener in {} rounds\n",
            self.with.kind.called(&self.with.name),
            self.envoy,
            self.bench,
            self.with.status,
            self.requests,
            own.len()
        );
        let microseconds = |numbers: &[f64]| Median::of(numbers.to_vec());
        text.push_str(&row(
            "without a filter",
            microseconds(&self.without),
            1,
            " us",
        ));
        text.push_str(&row("with it", microseconds(own), 1, " us"));
        text.push_str(&row("the difference", self.added(&self.without), 1, " us"));
        text.push_str(&row("with to without", self.ratio(&self.without), 3, "   "));
        text.push_str(&row("without to without", self.noise(), 3, "   "));
        text.push_str(&self.said(&self.without, self.status_without, "with it", "without"));
        for (other, differs) in &self.others {
            let to = &other.microseconds;
            let called = other.kind.called(&other.name);
            text.push_str(&format!("  to {called}\n"));
            text.push_str(&row("  with that", microseconds(to), 1, " us"));
            text.push_str(&row("  the difference", self.added(to), 1, " us"));
            text.push_str(&row("  with it to with that", self.ratio(to), 3, "   "));
            text.push_str("  ");
            text.push_str(&self.said(to, other.status, "with it", "with that"));
            if !differs.is_empty() {
                text.push_str(&format!(
                    "    they do not do the same to this request: {} differs\n",
                    differs.join("; ")
                ));
            }
        }
        text
    }

    /// What may be said of the filter and another listener.
    fn said(&self, to: &[f64], status: u16, with: &str, without: &str) -> String {
        let ratio = self.ratio(to);
        let said = match self.verdict(to, status) {
            Verdict::More => format!(
                "a request takes {:.1} to {:.1} % more of the processor {with} than {without} (95 %)",
                (ratio.low - 1.0) * 100.0,
                (ratio.high - 1.0) * 100.0
            ),
            Verdict::Less => format!(
                "a request takes {:.1} to {:.1} % less of the processor {with} than {without} (95 %)",
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
                "nothing is claimed: the answer is {} {with} and {status} {without}, which is not the same work",
                self.with.status
            ),
        };
        format!("  {said}\n")
    }

    /// One line for programs.
    pub(in crate::program::bench) fn to_json(&self) -> Value {
        let interval = |Median { value, low, high }| json!([low, value, high]);
        let microseconds = |numbers: &[f64]| interval(Median::of(numbers.to_vec()));
        let to = |(other, differs): &(Side, Vec<String>)| {
            json!({
                "subject": other.name,
                "kind": other.kind.name(),
                "status": other.status,
                "microseconds": microseconds(&other.microseconds),
                "microseconds_more": interval(self.added(&other.microseconds)),
                "ratio": interval(self.ratio(&other.microseconds)),
                "verdict": self.verdict(&other.microseconds, other.status).name(),
                "does_otherwise": differs,
            })
        };
        json!({
            "subject": self.with.name,
            "kind": self.with.kind.name(),
            "bench": self.bench,
            "on": "envoy",
            "envoy": self.envoy,
            "status": self.with.status,
            "status_without": self.status_without,
            "rounds": self.with.microseconds.len(),
            "requests": self.requests,
            "microseconds": microseconds(&self.with.microseconds),
            "microseconds_without": microseconds(&self.without),
            "microseconds_added": interval(self.added(&self.without)),
            "ratio": interval(self.ratio(&self.without)),
            "ratio_of_nothing": interval(self.noise()),
            "verdict": self.verdict(&self.without, self.status_without).name(),
            "to": self.others.iter().map(to).collect::<Value>(),
        })
    }
}

fn row(what: &str, median: Median, digits: usize, unit: &str) -> String {
    let Median { value, low, high } = median;
    format!("  {what:<28} {value:>8.digits$}{unit} ({low:.digits$} to {high:.digits$})\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty rounds in which the machine gets slower, and a factor for what is measured.
    fn rounds(factor: f64, shift: usize, spread: f64) -> Vec<f64> {
        let one = move |number: usize| {
            let noise = ((number * 7 + shift) % 5) as f64 - 2.0;
            (30.0 + number as f64 / 10.0) * (factor + noise * spread)
        };
        (0..40).map(one).collect()
    }

    fn side(name: &str, kind: Kind, microseconds: Vec<f64>) -> Side {
        Side {
            name: name.to_owned(),
            kind,
            microseconds,
            status: 200,
        }
    }

    fn measured(again: f64, with: f64, spread: f64) -> Measured {
        Measured {
            with: side("x", Kind::Module, rounds(with, 3, spread)),
            bench: "get",
            envoy: "1.40.0".to_owned(),
            without: rounds(1.0, 0, spread),
            again: rounds(again, 1, spread),
            status_without: 200,
            requests: 40,
            others: Vec::new(),
        }
    }

    fn verdict(measured: &Measured) -> Verdict {
        measured.verdict(&measured.without, measured.status_without)
    }

    #[test]
    fn a_difference_is_claimed_where_it_is_larger_than_that_of_the_same() {
        assert_eq!(verdict(&measured(1.0, 1.2, 0.01)), Verdict::More);
        assert_eq!(verdict(&measured(1.0, 0.8, 0.01)), Verdict::Less);
    }

    #[test]
    fn what_is_within_the_noise_is_not_claimed() {
        assert_eq!(verdict(&measured(1.0, 1.0, 0.01)), Verdict::NotTold);
        assert_eq!(verdict(&measured(1.0, 1.02, 0.05)), Verdict::NotTold);
        let text = measured(1.0, 1.0, 0.01).to_text();
        assert!(text.contains("no difference is told"), "{text}");
    }

    #[test]
    fn an_uneven_machine_and_other_answers_claim_nothing() {
        let uneven = measured(1.3, 1.4, 0.01);
        assert_eq!(verdict(&uneven), Verdict::Uneven);
        assert!(uneven.to_text().contains("nothing is claimed"));
        let mut denied = measured(1.0, 0.5, 0.01);
        denied.with.status = 403;
        assert_eq!(verdict(&denied), Verdict::OtherWork);
        assert_eq!(denied.to_json()["verdict"], "other-work");
    }

    #[test]
    fn others_are_told_with_what_they_do_otherwise() {
        let mut measured = measured(1.0, 1.2, 0.01);
        measured.others = vec![
            (side("gate", Kind::Lua, rounds(1.5, 2, 0.01)), Vec::new()),
            (
                side("rbac", Kind::Native, rounds(1.2, 3, 0.01)),
                vec!["to the upstream `a`".to_owned()],
            ),
        ];
        let text = measured.to_text();
        let (_, lua) = text.split_once("  to Lua `gate`\n").unwrap();
        let (lua, native) = lua.split_once("  to native `rbac`\n").unwrap();
        assert!(
            lua.contains("% less of the processor with it than with that"),
            "{lua}"
        );
        assert!(!lua.contains("do not do the same"), "{lua}");
        assert!(native.contains("no difference is told"), "{native}");
        assert!(
            native.contains("not do the same to this request: to the upstream `a` differs"),
            "{native}"
        );
        let json = measured.to_json();
        assert_eq!(json["to"][0]["verdict"], "less");
        assert_eq!(json["to"][1]["kind"], "native");
        assert_eq!(json["to"][1]["does_otherwise"][0], "to the upstream `a`");
    }
}
