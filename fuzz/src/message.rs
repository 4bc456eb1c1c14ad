//! The filter `transform` without a host: any configuration, any head, any body.

use transform::config::Config;
use transform::head::Head;
use transform::{Outcome, Part, Plan, Task};

/// A configuration, headers and a body, cut at empty lines. Whatever they are, nothing panics; what
/// fails changes nothing; what goes on has no line break in its head; and the same message becomes the
/// same.
pub fn transform(data: &[u8]) {
    let mut parts = data.splitn(3, |&byte| byte == 0);
    let (Some(config), Some(head), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let Ok(config) = serde_json::from_slice::<Config>(config) else {
        return;
    };
    let Ok(plan) = Plan::new(&config) else {
        return;
    };
    let request = head_of(head);
    let response = Head {
        status: Some(200),
        ..request.clone()
    };
    for part in [Part::Head, Part::Body, Part::Whole] {
        if let Some(task) = Task::new(&plan.request, &request, None) {
            check(&task, &request, body, part);
        }
        if let Some(task) = Task::new(&plan.response, &response, Some(&request)) {
            check(&task, &response, body, part);
        }
    }
}

/// The path in the first line, and a header in each of the others.
fn head_of(bytes: &[u8]) -> Head {
    let mut lines = bytes.split(|&byte| matches!(byte, b'\n' | b'\r'));
    let mut head = Head {
        method: b"POST".to_vec(),
        path: lines.next().unwrap_or_default().to_vec(),
        ..Head::default()
    };
    for line in lines {
        if let Some(at) = line.iter().position(|&byte| byte == b':') {
            let name = line[..at].to_ascii_lowercase();
            head.headers.push(&name, line[at + 1..].trim_ascii());
        }
    }
    head
}

fn check(task: &Task<'_>, came: &Head, body: &[u8], part: Part) {
    let mut head = came.clone();
    let outcome = task.change(&mut head, body, part);
    if matches!(outcome, Outcome::Done(_)) {
        safe(came, &head);
    } else {
        assert_eq!(&head, came);
    }
    let mut head = came.clone();
    match task.change_head(&mut head, part) {
        Ok(()) => safe(came, &head),
        Err(_) => assert_eq!(&head, came),
    }
}

/// No line has become two.
fn safe(came: &Head, head: &Head) {
    let breaks = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    assert!(!breaks(&head.path) || breaks(&came.path));
    for (name, value) in head.headers.iter() {
        assert!(!breaks(name) && !breaks(value));
    }
}
