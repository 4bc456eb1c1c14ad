use std::fmt::Write as _;
use std::time::Duration;

use attache_control_plane::Timestamp;
use attache_control_plane::status::{FileFault, History, Phase, RolloutStatus};
use attache_module::harmless_line;

use super::load::{Counts, Recent, WORD};
use crate::program::screen::{Paint, Tone};

/// How much of the past is shown.
const ENTRIES: usize = 8;

/// What does not change while it is shown.
pub(super) struct Frame {
    pub(super) envoy: String,
    pub(super) requests: String,
    pub(super) api: String,
    pub(super) file: String,
    /// What else runs, or why it does not.
    pub(super) beside: Vec<(&'static str, String)>,
}

/// What is shown at a moment.
pub(super) struct Moment<'a> {
    pub(super) counts: &'a Counts,
    pub(super) recent: &'a Recent,
    pub(super) rollout: Option<&'a RolloutStatus>,
    pub(super) history: Option<&'a History>,
    /// What is wrong with the files of rollouts.
    pub(super) faults: &'a [FileFault],
    pub(super) now: Timestamp,
}

impl Frame {
    /// The whole screen.
    pub(super) fn screen(&self, moment: &Moment<'_>, paint: Paint) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let name = paint.tint(Tone::Faint, &format!("{name:<14}"));
            let _ = writeln!(text, "  {name}{value}");
        };
        line("Envoy", &format!("{} at {}", self.envoy, self.requests));
        line(
            "control plane",
            &format!("{}, a page for people too", self.api),
        );
        for (name, told) in &self.beside {
            line(name, told);
        }
        line("change", &paint.tint(Tone::Strong, &self.file));
        line("", "");
        line("answers", &self.answers(moment, paint));
        line("failed", &lost(moment.counts, paint));
        line("took", &took(moment.recent));
        line(
            "rollout",
            &moment
                .rollout
                .map_or_else(String::new, |rollout| state(rollout, moment.now, paint)),
        );
        for fault in moment.faults {
            line("fault", &paint.tint(Tone::Bad, &told(fault)));
        }
        line("", "");
        for entry in moment.history.iter().flat_map(|history| {
            let skipped = history.entries.len().saturating_sub(ENTRIES);
            history.entries.iter().skip(skipped)
        }) {
            let time = entry.at.to_string();
            let time = time.get(11..23).unwrap_or_default();
            let phase = format!("{:<12}", entry.phase.name());
            let phase = paint.tint(tone(entry.phase), &phase);
            let _ = writeln!(
                text,
                "  {time}  {phase}  {}",
                brief(entry.reason.as_deref())
            );
        }
        text.push_str("\n  Ctrl-C ends all of it.\n");
        text
    }

    fn answers(&self, moment: &Moment<'_>, paint: Paint) -> String {
        let words: Vec<String> = moment
            .recent
            .words
            .iter()
            .map(|(word, count)| format!("{} {count}/s", paint.tint(Tone::Strong, word)))
            .collect();
        match words.is_empty() {
            true => "none yet".to_owned(),
            false => format!("{} ({WORD})", words.join("   ")),
        }
    }
}

/// One line, for whoever writes it down; nothing of it changes while nothing happens.
pub(super) fn line(moment: &Moment<'_>) -> String {
    let words: Vec<&str> = moment.recent.words.keys().map(String::as_str).collect();
    let phase = moment.rollout.map_or("-", |rollout| rollout.phase.name());
    let reason = moment.rollout.and_then(|rollout| rollout.reason.as_deref());
    let (answered, lost) = (words.join(" and "), moment.counts.lost);
    let answered = if answered.is_empty() {
        "nothing"
    } else {
        &answered
    };
    let fault = moment.faults.first().map(told);
    let fault = fault.map_or_else(String::new, |fault| format!("  fault: {fault}"));
    format!(
        "{phase:<24}  answered: {answered}  failed: {lost}  {}{fault}",
        brief(reason)
    )
}

/// A fault with its place. The folder is known.
fn told(fault: &FileFault) -> String {
    let file = fault.file.rsplit('/').next().unwrap_or_default();
    let place = [fault.line, fault.column].into_iter().flatten();
    let place: String = place.map(|number| format!(":{number}")).collect();
    format!(
        "{}{place}: {}",
        harmless_line(file),
        brief(Some(&fault.reason))
    )
}

fn lost(counts: &Counts, paint: Paint) -> String {
    let all = counts.answered + counts.lost;
    match (&counts.last_loss, counts.lost) {
        (Some(reason), lost @ 1..) => {
            let lost = paint.tint(Tone::Bad, &lost.to_string());
            format!("{lost} of {all}, the last one because: {reason}")
        }
        _ => format!("{} of {all}", paint.tint(Tone::Good, "0")),
    }
}

fn took(recent: &Recent) -> String {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    format!(
        "median {:.1} ms, 99 of 100 at most {:.1} ms",
        milliseconds(recent.median),
        milliseconds(recent.p99)
    )
}

fn state(rollout: &RolloutStatus, now: Timestamp, paint: Paint) -> String {
    let phase = paint.tint(tone(rollout.phase), rollout.phase.name());
    let seconds = now.since(rollout.since).as_secs();
    format!(
        "{phase} for {seconds} s  {}",
        brief(rollout.reason.as_deref())
    )
}

/// The first line of a reason, without what could steer the terminal.
fn brief(reason: Option<&str>) -> String {
    let line = reason
        .and_then(|reason| reason.lines().next())
        .unwrap_or_default();
    let line = harmless_line(line);
    match line.char_indices().nth(100) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

fn tone(phase: Phase) -> Tone {
    match phase {
        Phase::Confirmed => Tone::Good,
        Phase::Refused | Phase::Returned => Tone::Bad,
        _ => Tone::Changed,
    }
}
