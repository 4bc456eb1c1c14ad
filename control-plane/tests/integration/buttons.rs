//! What people press on the page, in a real browser with real Envoys.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use attache_control_plane::status::Phase;
use base64::Engine as _;
use serde_json::{Value, json};

use crate::page::browser;
use crate::scratch::Scratch;
use crate::stage::{LIMIT, Stage, module, says, word};

/// A browser with one page, which is told by its protocol for developers, over pipes.
struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Vec<u8>>,
    session: Option<String>,
    last: u64,
    /// What the page has asked, and was answered with yes.
    questions: Vec<String>,
}

impl Browser {
    fn open(profile: &Scratch, address: &str) -> Self {
        // It reads from the third and writes to the fourth descriptor.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
                "sh",
            ])
            .arg(browser())
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--remote-debugging-pipe", "--window-size=1280,1000"])
            .arg(format!("--user-data-dir={}", profile.display()));
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
                bytes.pop();
                if sender.send(std::mem::take(&mut bytes)).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            input,
            messages,
            session: None,
            last: 0,
            questions: Vec::new(),
        };
        let target = browser.call("Target.createTarget", &json!({ "url": address }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &target);
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        browser.call("Page.enable", &json!({}));
        browser
    }

    fn send(&mut self, method: &str, parameters: &Value) -> u64 {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        self.last
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        let id = self.send(method, parameters);
        loop {
            let bytes = self.messages.recv_timeout(LIMIT).unwrap();
            let message: Value = serde_json::from_slice(&bytes).unwrap();
            if message["method"] == "Page.javascriptDialogOpening" {
                let question = message["params"]["message"].as_str().unwrap();
                self.questions.push(question.to_owned());
                self.send("Page.handleJavaScriptDialog", &json!({ "accept": true }));
            }
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        self.call("Runtime.evaluate", &asked)["result"]["value"].clone()
    }

    /// Waits until the page shows this text.
    fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let shown = self.value("document.body ? document.body.innerText : ''");
            if shown.as_str().is_some_and(|shown| shown.contains(text)) {
                return;
            }
            assert!(Instant::now() < deadline, "`{text}` never came: {shown}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses a button until the page asks something, which may be drawn anew under the mouse.
    fn press_until_asked(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        self.questions.clear();
        loop {
            self.press(text);
            for _ in 0..20 {
                if let Some(question) = self.questions.pop() {
                    return question;
                }
                thread::sleep(Duration::from_millis(10));
                self.value("1");
            }
            assert!(Instant::now() < deadline, "`{text}` asks nothing");
        }
    }

    /// Presses the button with this text, by the mouse, if it is there.
    fn press(&mut self, text: &str) {
        let place = self.value(&format!(
            "(() => {{ const all = [...document.querySelectorAll('button')];
             const one = all.find((button) => button.textContent === {text:?} && !button.hidden);
             if (!one) return null; one.scrollIntoView(); const at = one.getBoundingClientRect();
             return {{ x: at.x + at.width / 2, y: at.y + at.height / 2 }}; }})()"
        ));
        if place.is_null() {
            return;
        }
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// `SCREENSHOTS=FOLDER` keeps a picture.
    fn keep_picture(&mut self, name: &str) {
        if let Some(folder) = std::env::var_os("SCREENSHOTS").map(PathBuf::from) {
            let picture = self.call("Page.captureScreenshot", &json!({}));
            let base64 = base64::engine::general_purpose::STANDARD;
            let picture = base64.decode(picture["data"].as_str().unwrap()).unwrap();
            std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs Envoy, and a browser, which .ci/browser installs"]
fn a_canary_is_promoted_and_taken_back_by_the_buttons_of_the_page() {
    let stage = Stage::new();
    stage.write("r.wasm", module());
    let groups = "groups: [canary, edge]\nfails_when: { watched_for: 0s }\n";
    stage.declare("r", "a", groups);
    let (canary, edge) = (stage.start_envoy("canary"), stage.start_envoy("edge"));
    let address = |envoy: &attache_envoy::Envoy| envoy.listener_address("filtered").unwrap();
    stage.reaches_as("r", |status| {
        let reason = status.reason.as_deref().unwrap_or_default();
        reason == "every worker runs it" && status.served_by.confirmed == 2
    });
    let profile = Scratch::new();
    let mut page = Browser::open(&profile, &format!("http://{}/", stage.api));
    page.shows("Group edge: 1 of 1 have what they should");

    let trial = format!("{groups}canary: {{ group: canary, for: 1h }}\n");
    stage.declare("r", "b", &trial);
    page.shows("group canary, until ");
    page.keep_picture("canary");
    assert_eq!(word(address(&edge)).as_deref(), Some("a"));
    let asked = page.press_until_asked("Promote the canary");
    assert!(asked.contains("to all groups of “r” now?"), "{asked}");
    stage.reaches("r", Phase::Confirmed);
    page.shows("every worker runs it");
    says(address(&edge), "b");
    says(address(&canary), "b");
    page.keep_picture("promoted");

    let asked = page.press_until_asked("Undo");
    assert_eq!(asked, "Take “r” back to the version before?");
    page.shows("an operator took it back");
    says(address(&edge), "a");
    says(address(&canary), "a");
    page.keep_picture("taken-back");
    // There is nothing before that.
    page.press_until_asked("Undo");
    page.shows("there is no version before it that was good");
    page.keep_picture("nothing-before");
}
