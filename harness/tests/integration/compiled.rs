//! The cache of compiled modules, which all test processes of a user share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use attache_harness::{HostError, Request};

use crate::guest::{guest, said};

const MODULES: usize = 4;

/// What one process does: plays a few modules that no other test has.
#[test]
fn modules_of_the_cache_do_what_they_say() -> Result<(), HostError> {
    for number in 0..MODULES {
        let body = format!("(call $say (i32.const {number})) (call $text s(cached)) i32.const 0");
        let exchange = guest()
            .on("request_headers", &body)
            .host()
            .send(Request::get("/"))?;
        assert_eq!(said(exchange.log()), [&number.to_string(), "cached"]);
    }
    Ok(())
}

/// A process that runs the test above, and only that, on a cache of its own.
fn process(home: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test has a file"))
        .args(["--exact", "compiled::modules_of_the_cache_do_what_they_say"])
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test starts again")
}

fn all_succeed(processes: Vec<Child>) {
    for process in processes {
        let output = process.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
    }
}

/// The compiled modules in a cache.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(files) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = files.map(|file| file.expect("readable").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => entries(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_none() && path.to_string_lossy().contains("modules"))
        .collect()
}

#[test]
fn processes_share_the_cache_and_a_damaged_entry_does_no_harm() {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled-modules");
    // Left of a run before.
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home).expect("a folder");

    all_succeed((0..4).map(|_| process(&home)).collect());
    let made = entries(&home);
    assert_eq!(made.len(), MODULES, "{made:?}");

    for (index, entry) in made.iter().enumerate() {
        let whole = fs::read(entry).expect("an entry");
        let damaged = match index {
            0 => Vec::new(),
            1 => whole[..whole.len() / 2].to_vec(),
            2 => vec![0; whole.len()],
            // A module of another origin under the name of this one.
            _ => b"\x7fELF and then nothing".to_vec(),
        };
        fs::write(entry, damaged).expect("a damaged entry");
    }
    all_succeed((0..2).map(|_| process(&home)).collect());
    for entry in entries(&home) {
        assert!(
            fs::metadata(&entry).expect("an entry").len() > 1000,
            "it was compiled again"
        );
    }
}
