use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A folder of rollouts with a module beside it, both removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> (Self, Ledger) {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("attache-ledger-{}-{number}", std::process::id());
        let scratch = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(scratch.rollouts()).unwrap();
        scratch.write("r.wasm", "module");
        let ledger = Ledger::new(scratch.rollouts());
        (scratch, ledger)
    }

    fn rollouts(&self) -> PathBuf {
        self.0.join("rollouts")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn declare(&self, more: &str) {
        let text = format!("version: \"1\"\nplugin: p\nmodule: ../r.wasm\n{more}");
        self.write("rollouts/r.yaml", &text);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const UNSETTLED: Looked = Looked::Unsettled { has_taken: false };

/// The groups and the module of a rollout.
type Taken = (Vec<String>, String);

/// What was taken, the faults, and the names of what is there.
fn taken(ledger: &Ledger) -> (Vec<Taken>, Vec<String>, Vec<String>) {
    let Event::Declared {
        rollouts,
        faults,
        present,
    } = ledger.event()
    else {
        unreachable!()
    };
    let module = |rollout: &Rollout| String::from_utf8_lossy(rollout.module.bytes()).into_owned();
    let rollouts = rollouts.iter();
    let rollouts = rollouts.map(|rollout| (rollout.groups.clone(), module(rollout)));
    let faults = faults.into_iter().map(|fault| fault.reason);
    (rollouts.collect(), faults.collect(), present)
}

fn one(groups: &[&str], module: &str) -> Vec<Taken> {
    let groups = groups.iter().map(|&group| group.to_owned());
    vec![(groups.collect(), module.to_owned())]
}

#[test]
fn a_file_that_is_half_written_is_not_taken_though_it_is_valid() {
    let (scratch, mut ledger) = Scratch::new();
    // Without the groups it would be for all of them.
    scratch.declare("");
    assert_eq!(ledger.look(), UNSETTLED);
    scratch.declare("groups: [edge]\n");
    assert_eq!(ledger.look(), UNSETTLED);
    assert_eq!(taken(&ledger), (vec![], vec![], vec!["r".to_owned()]));
    assert_eq!(ledger.look(), Looked::Settled);
    assert_eq!(taken(&ledger).0, one(&["edge"], "module"));
}

#[test]
fn a_file_that_is_written_anew_counts_as_before_until_it_is_whole() {
    let (scratch, mut ledger) = Scratch::new();
    scratch.declare("groups: [edge]\n");
    ledger.look();
    ledger.look();
    for half in ["", "groups: ["] {
        scratch.declare(half);
        assert_eq!(ledger.look(), UNSETTLED);
        assert_eq!(taken(&ledger).0, one(&["edge"], "module"));
        assert_eq!(taken(&ledger).1, Vec::<String>::new());
    }
    scratch.declare("groups: [edge]\n");
    assert_eq!(ledger.look(), Looked::Settled);
}

#[test]
fn a_module_that_changes_while_it_is_read_is_not_taken() {
    let (scratch, mut ledger) = Scratch::new();
    scratch.declare("");
    ledger.look();
    ledger.look();
    for half in ["mod", "modul"] {
        scratch.write("r.wasm", half);
        assert_eq!(ledger.look(), UNSETTLED);
        assert_eq!(taken(&ledger).0, one(&[], "module"));
    }
    scratch.write("r.wasm", "other");
    assert_eq!(ledger.look(), UNSETTLED);
    assert_eq!(ledger.look(), Looked::Settled);
    assert_eq!(taken(&ledger).0, one(&[], "other"));
}

#[test]
fn a_file_that_is_gone_for_a_moment_is_not_gone() {
    let (scratch, mut ledger) = Scratch::new();
    scratch.declare("");
    ledger.look();
    ledger.look();
    fs::remove_file(scratch.rollouts().join("r.yaml")).unwrap();
    assert_eq!(ledger.look(), UNSETTLED);
    assert_eq!(taken(&ledger).2, ["r"]);
    scratch.declare("");
    assert_eq!(ledger.look(), Looked::Settled);
    fs::remove_file(scratch.rollouts().join("r.yaml")).unwrap();
    ledger.look();
    assert_eq!(ledger.look(), Looked::Settled);
    assert_eq!(taken(&ledger), (vec![], vec![], vec![]));
}

#[test]
fn a_folder_that_cannot_be_read_takes_nothing_back() {
    let (scratch, mut ledger) = Scratch::new();
    scratch.declare("");
    ledger.look();
    ledger.look();
    fs::rename(scratch.rollouts(), scratch.0.join("away")).unwrap();
    assert_eq!(ledger.look(), Looked::Failed);
    let (rollouts, faults, present) = taken(&ledger);
    assert_eq!((rollouts, present), (one(&[], "module"), vec!["r".into()]));
    assert!(faults[0].contains("cannot be read"), "{faults:?}");
    fs::rename(scratch.0.join("away"), scratch.rollouts()).unwrap();
    assert_eq!(ledger.look(), Looked::Settled);
    assert_eq!(taken(&ledger).1, Vec::<String>::new());
}

#[test]
fn what_is_no_file_is_a_fault_and_holds_up_nothing() {
    let (scratch, mut ledger) = Scratch::new();
    scratch.declare("");
    fs::create_dir(scratch.rollouts().join("s.yaml")).unwrap();
    ledger.look();
    ledger.look();
    let (rollouts, faults, present) = taken(&ledger);
    assert_eq!(rollouts, one(&[], "module"));
    assert_eq!(faults, ["cannot be read: it is no file"]);
    assert_eq!(present, ["r", "s"]);
}

#[test]
fn a_module_that_stays_is_kept_once() {
    let (scratch, mut ledger) = Scratch::new();
    scratch.declare("");
    ledger.look();
    ledger.look();
    let modules = |ledger: &Ledger| match ledger.event() {
        Event::Declared { rollouts, .. } => rollouts[0].module.bytes().as_ptr(),
        _ => unreachable!(),
    };
    let before = modules(&ledger);
    scratch.declare("state_epoch: 1\n");
    ledger.look();
    ledger.look();
    assert_eq!(modules(&ledger), before);
}
