//! How the files of rollouts come and go.

use std::fs;
use std::os::unix::fs::symlink;

use attache_control_plane::status::Phase;

use crate::stage::{PLUGIN, Stage, module};

/// A folder as Kubernetes mounts a ConfigMap: files are links into a folder that is a link, which is replaced.
#[test]
fn a_mounted_config_map_that_is_replaced_is_read_again() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    let rollouts = stage.folder.join("rollouts");
    let mount = |number: u32| {
        let folder = rollouts.join(format!("..{number}"));
        fs::create_dir(&folder).unwrap();
        let text = format!(
            "version: \"1\"\nplugin: {PLUGIN}\nroot_id: add-header\nmodule: ../r.wasm\nstate_epoch: {number}\n"
        );
        fs::write(folder.join("r.yaml"), text).unwrap();
        symlink(format!("..{number}"), rollouts.join("..new")).unwrap();
        fs::rename(rollouts.join("..new"), rollouts.join("..data")).unwrap();
    };
    mount(1);
    symlink("..data/r.yaml", rollouts.join("r.yaml")).unwrap();
    for number in 1..4 {
        if number > 1 {
            mount(number);
            fs::remove_dir_all(rollouts.join(format!("..{}", number - 1))).unwrap();
        }
        stage.reaches_as("r", |status| {
            status.phase == Phase::Pushed && status.declared.state_epoch == number
        });
    }
    assert!(stage.plane.status().faults.is_empty());
}

#[test]
fn a_folder_of_rollouts_that_is_made_anew_is_read_again_and_nothing_is_withdrawn_meanwhile() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    let before = stage.reaches("r", Phase::Pushed);
    fs::rename(stage.folder.join("rollouts"), stage.folder.join("away")).unwrap();
    stage.reaches_as("r", |status| {
        assert_ne!(status.phase, Phase::Withdrawn);
        let faults = stage.plane.status().faults;
        faults.iter().any(|fault| fault.reason.contains("folder"))
    });
    fs::create_dir(stage.folder.join("made")).unwrap();
    let text = format!(
        "version: \"1\"\nplugin: {PLUGIN}\nroot_id: add-header\nmodule: ../r.wasm\nstate_epoch: 1\n"
    );
    fs::write(stage.folder.join("made/r.yaml"), text).unwrap();
    fs::rename(stage.folder.join("made"), stage.folder.join("rollouts")).unwrap();
    let after = stage.reaches_as("r", |status| {
        status.phase == Phase::Pushed && status.declared.state_epoch == 1
    });
    assert!(after.declared.generation > before.declared.generation);
}
