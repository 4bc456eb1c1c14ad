use std::fmt::Write as _;
use std::time::Duration;

use attache_control_plane::Timestamp;
use attache_control_plane::status::{
    EnvoyState, EnvoyStatus, History, Phase, RolloutStatus, Status, Version,
};

use attache_module::harmless_line;

use crate::program::screen::{Paint, Tone};

/// All rollouts, a line or two each.
pub(super) fn overview(status: &Status, paint: Paint) -> String {
    let mut text = String::new();
    if status.rollouts.is_empty() {
        text.push_str("There is no rollout; put a file into the folder of rollouts.\n");
    } else {
        let mut rows = vec![Row::heading(&[
            "ROLLOUT", "PHASE", "FOR", "SERVING", "ENVOYS",
        ])];
        for rollout in &status.rollouts {
            let mut row = Row::new([
                harmless_line(&rollout.name),
                rollout.phase.name().to_owned(),
                time(status.at.since(rollout.since)),
                serving(rollout),
                count(&rollout.envoys),
            ]);
            row.tones = vec![Tone::Strong, of_phase(rollout.phase)];
            row.note(rollout.reason.as_deref());
            rows.push(row);
        }
        text.push_str(&write(&rows, "", paint));
    }
    text.push_str(&faults(status, paint));
    text
}

/// What is wrong with files.
fn faults(status: &Status, paint: Paint) -> String {
    let mut text = String::new();
    for fault in &status.faults {
        let place = [fault.line, fault.column];
        let place: String = place
            .iter()
            .flatten()
            .map(|number| format!(":{number}"))
            .collect();
        let word = paint.tint(Tone::Bad, "fault");
        let _ = writeln!(text, "\n{word}: {}{place}", harmless_line(&fault.file));
        for line in fault.reason.lines() {
            let _ = writeln!(text, "  {}", harmless_line(line));
        }
    }
    text
}

/// One rollout, with its Envoys.
pub(super) fn details(rollout: &RolloutStatus, now: Timestamp, paint: Paint) -> String {
    let mut text = format!(
        "{}  {} for {}\n",
        paint.tint(Tone::Strong, &harmless_line(&rollout.name)),
        paint.tint(of_phase(rollout.phase), rollout.phase.name()),
        time(now.since(rollout.since)),
    );
    let mut line = |name: &str, value: &str| {
        for (number, part) in value.lines().enumerate() {
            let name = if number == 0 { name } else { "" };
            let _ = writeln!(text, "  {name:<9} {}", harmless_line(part));
        }
    };
    if let Some(reason) = &rollout.reason {
        line("why", reason);
    }
    line("file", &rollout.file);
    line("plugin", &rollout.plugin);
    line("groups", &groups(&rollout.groups));
    line("declared", &version(&rollout.declared));
    if let Some(serving) = &rollout.serving {
        line("serving", &version(serving));
    }
    if let Some(canary) = &rollout.canary {
        let until = match canary.until {
            Some(until) => format!("until {until}"),
            None => "which does not run it yet".to_owned(),
        };
        line("canary", &format!("group `{}`, {until}", canary.group));
    }
    text.push('\n');
    if rollout.envoys.is_empty() {
        text.push_str("  No Envoy of its groups asks for it.\n");
        return text;
    }
    let mut rows = vec![Row::heading(&[
        "GROUP", "ENVOY", "STATE", "HAS", "WORKERS", "FOR", "FROM",
    ])];
    for envoy in &rollout.envoys {
        let mut row = Row::new([
            harmless_line(&envoy.group),
            harmless_line(&envoy.node),
            of_envoy(envoy.state).0.to_owned(),
            envoy
                .acknowledged
                .map_or("-".to_owned(), |number| number.to_string()),
            envoy.workers.map_or("-".to_owned(), |workers| {
                format!("{} of {}", workers.running, workers.all)
            }),
            time(now.since(envoy.since)),
            harmless_line(&envoy.address),
        ]);
        row.tones = vec![Tone::Plain, Tone::Plain, of_envoy(envoy.state).1];
        row.note(envoy.reason.as_deref());
        rows.push(row);
    }
    text.push_str(&write(&rows, "  ", paint));
    text
}

/// What has happened to a rollout, latest last.
pub(super) fn past(history: &History, paint: Paint) -> String {
    let mut rows = vec![Row::heading(&[
        "WHEN",
        "PHASE",
        "GENERATION",
        "MODULE",
        "CONFIGURATION",
    ])];
    for entry in &history.entries {
        let version = &entry.version;
        let mut row = Row::new([
            entry.at.to_string(),
            entry.phase.name().to_owned(),
            version
                .generation
                .map_or("-".to_owned(), |number| number.to_string()),
            short(&version.module),
            short(&version.configuration),
        ]);
        row.tones = vec![Tone::Plain, of_phase(entry.phase)];
        row.note(entry.reason.as_deref());
        rows.push(row);
    }
    write(&rows, "", paint)
}

fn serving(rollout: &RolloutStatus) -> String {
    match &rollout.serving {
        None => "nothing".to_owned(),
        Some(version) => version
            .generation
            .map_or("-".to_owned(), |number| number.to_string()),
    }
}

/// How many of the Envoys that are there have what they should.
fn count(envoys: &[EnvoyStatus]) -> String {
    let there = envoys
        .iter()
        .filter(|one| one.state != EnvoyState::Disconnected);
    let (mut all, mut good) = (0, 0);
    for envoy in there {
        all += 1;
        let has = [EnvoyState::Acknowledged, EnvoyState::Confirmed].contains(&envoy.state);
        good += usize::from(has);
    }
    match all {
        0 => "none".to_owned(),
        _ => format!("{good} of {all}"),
    }
}

fn groups(groups: &[String]) -> String {
    match groups.is_empty() {
        true => "all".to_owned(),
        false => groups.join(", "),
    }
}

fn version(version: &Version) -> String {
    let generation = match version.generation {
        Some(number) => format!("generation {number}"),
        None => "never pushed".to_owned(),
    };
    let module = match short(&version.module) {
        module if module.is_empty() => "not fetched yet".to_owned(),
        module => module,
    };
    format!(
        "{generation}, module {module}, configuration {}, epoch {}",
        short(&version.configuration),
        version.state_epoch
    )
}

/// The beginning of a digest.
fn short(digest: &str) -> String {
    harmless_line(digest).chars().take(12).collect()
}

fn of_phase(phase: Phase) -> Tone {
    match phase {
        Phase::Confirmed => Tone::Good,
        Phase::Refused | Phase::Returned => Tone::Bad,
        _ => Tone::Changed,
    }
}

fn of_envoy(state: EnvoyState) -> (&'static str, Tone) {
    match state {
        EnvoyState::Waiting => ("waiting", Tone::Plain),
        EnvoyState::Sent => ("sent", Tone::Changed),
        EnvoyState::Acknowledged => ("acknowledged", Tone::Changed),
        EnvoyState::Refused => ("refused", Tone::Bad),
        EnvoyState::Confirmed => ("confirmed", Tone::Good),
        EnvoyState::Disconnected => ("disconnected", Tone::Plain),
        _ => ("unknown", Tone::Plain),
    }
}

/// A time in the two units that matter.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A row of a table, and lines that stand below it.
struct Row {
    cells: Vec<String>,
    /// Of the first cells; the others are plain.
    tones: Vec<Tone>,
    notes: Vec<String>,
}

impl Row {
    fn new<const COUNT: usize>(cells: [String; COUNT]) -> Self {
        Self {
            cells: cells.into(),
            tones: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A text below it, which may have several lines.
    fn note(&mut self, text: Option<&str>) {
        let lines = text.into_iter().flat_map(str::lines);
        self.notes.extend(lines.map(harmless_line));
    }

    fn heading(words: &[&str]) -> Self {
        Self {
            cells: words.iter().map(|word| (*word).to_owned()).collect(),
            tones: vec![Tone::Faint; words.len()],
            notes: Vec::new(),
        }
    }
}

fn write(rows: &[Row], margin: &str, paint: Paint) -> String {
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.cells.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        text.push_str(margin);
        for (number, cell) in row.cells.iter().enumerate() {
            let tone = row.tones.get(number).copied().unwrap_or(Tone::Plain);
            text.push_str(&paint.tint(tone, cell));
            if number + 1 < row.cells.len() {
                let gap = widths[number] - cell.chars().count() + 2;
                text.push_str(&" ".repeat(gap));
            }
        }
        text.push('\n');
        for note in &row.notes {
            let _ = writeln!(text, "{margin}  {note}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_shown_as_text() {
        let fault = r#"{"file":"a\u001b[2J.yaml","line":1,"column":2,"reason":"b\u202ec"}"#;
        let status =
            format!(r#"{{"rollouts":[],"faults":[{fault}],"at":"2026-01-01T00:00:00.000Z"}}"#);
        let status: Status = serde_json::from_str(&status).unwrap();
        let text = overview(&status, Paint::of_output());
        assert!(
            text.contains("a\\u001b[2J.yaml:1:2\n  b\\u202ec\n"),
            "{text}"
        );
    }

    #[test]
    fn a_reason_of_several_lines_is_shown_as_such() {
        let mut rows = vec![Row::heading(&["WHEN"])];
        rows[0].note(Some("the guest logged:\n  [error] \u{1b}"));
        let text = write(&rows, "", Paint::of_output());
        assert!(
            text.ends_with("\n  the guest logged:\n    [error] \\u001b\n"),
            "{text}"
        );
    }

    #[test]
    fn times_are_read_at_a_glance() {
        let shown = [59, 61, 7_260, 90_000].map(|seconds| time(Duration::from_secs(seconds)));
        assert_eq!(shown, ["59 s", "1 min", "2 h 1 min", "1 d 1 h"]);
    }
}
