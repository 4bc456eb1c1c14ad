use attache_harness::{Host, HostError, Request};

use crate::guest::{Guest, guest, said};

type Tested = Result<(), HostError>;

const REGISTER: &str = "(drop (call $register_shared_queue s(jobs) (i32.const 24)))";

/// Registers the queue `jobs` when it is configured, and takes one value out when it is notified.
fn consumer() -> Guest {
    guest()
        .on("configure", &format!("{REGISTER} i32.const 1"))
        .on(
            "queue_ready",
            "(call $text s(ready)) (call $say (local.get $ctx)) (call $say (local.get $n))
             (call $tell (call $dequeue_shared_queue (local.get $n) ret))",
        )
}

/// Finds the queue `jobs` of the VM id `work` and puts a value in.
fn producer(values: &[&str]) -> Guest {
    let puts: String = values
        .iter()
        .map(|value| {
            format!("(call $say (call $enqueue_shared_queue (i32.load (i32.const 24)) s({value})))")
        })
        .collect();
    guest().on(
        "request_headers",
        &format!(
            "(call $say (call $resolve_shared_queue s(work) s(jobs) (i32.const 24))) {puts}
             (call $text s(sent)) i32.const 0"
        ),
    )
}

#[test]
fn a_queue_is_found_by_vm_id_and_notifies_after_the_enqueuing_callback() -> Tested {
    let mut host = Host::builder()
        .plugin(consumer().plugin("consumer").vm_id("work"))
        .plugin(producer(&["one", "two"]).plugin("producer"))
        .start()?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["0", "0", "0", "sent"]);
    assert_eq!(
        said(host.log())[4..],
        ["ready", "1", "1", "0", "one", "ready", "1", "1", "0", "two"]
    );
    Ok(())
}

#[test]
fn a_queue_answers_statuses_and_keeps_its_token() -> Tested {
    let guest = guest().on(
        "request_headers",
        &format!(
            "(call $say (call $resolve_shared_queue s() s(jobs) (i32.const 24)))
             {REGISTER} (call $say (i32.load (i32.const 24)))
             {REGISTER} (call $say (i32.load (i32.const 24)))
             (call $say (call $resolve_shared_queue s() s(jobs) (i32.const 28)))
             (call $say (i32.load (i32.const 28)))
             (call $say (call $resolve_shared_queue s(\\ff) s(jobs) (i32.const 28)))
             (call $say (call $enqueue_shared_queue (i32.const 9) s(x)))
             (call $tell (call $dequeue_shared_queue (i32.const 9) ret))
             (call $tell (call $dequeue_shared_queue (i32.const 1) ret))
             (call $say (call $enqueue_shared_queue (i32.const 1) s()))
             (call $tell (call $dequeue_shared_queue (i32.const 1) ret))
             i32.const 0"
        ),
    );
    assert_eq!(
        said(guest.host().send(Request::get("/"))?.log()),
        [
            "1", "1", "1", "0", "1", "1", "1", "1", "-", "7", "-", "0", "0", "null"
        ]
    );
    Ok(())
}

#[test]
fn one_notification_comes_for_each_value_even_if_it_was_taken_already() -> Tested {
    let guest = guest()
        .on(
            "request_headers",
            &format!(
                "{REGISTER} (drop (call $enqueue_shared_queue (i32.const 1) s(a)))
                 (drop (call $dequeue_shared_queue (i32.const 1) ret)) i32.const 0"
            ),
        )
        .on(
            "queue_ready",
            "(call $say (call $dequeue_shared_queue (local.get $n) ret))",
        );
    let mut host = guest.host();
    assert!(host.send(Request::get("/"))?.log().is_empty());
    assert_eq!(said(host.log()), ["7"]);
    Ok(())
}

#[test]
fn the_last_worker_that_registered_is_notified() -> Tested {
    let counts = guest()
        .on(
            "configure",
            &format!(
                "(global.set $copy (i32.const 0)) (drop (call $get_shared_data s(n) ret (i32.const 24)))
                 (if (i32.ne (i32.load (i32.const 16)) (i32.const -1))
                   (then (global.set $copy (i32.load8_u (i32.load (i32.const 16))))))
                 (global.set $copy (i32.add (global.get $copy) (i32.const 1)))
                 (i32.store8 (i32.const 100) (global.get $copy))
                 (drop (call $set_shared_data s(n) (i32.const 100) (i32.const 1) (i32.const 0)))
                 {REGISTER} i32.const 1"
            )
            .replace(" ret ", " (i32.const 16) (i32.const 20) "),
        )
        .with("(global $copy (mut i32) (i32.const 0))")
        .on(
            "request_headers",
            "(drop (call $enqueue_shared_queue (i32.const 1) s(a))) i32.const 0",
        )
        .on("queue_ready", "(call $say (global.get $copy))");
    let mut host = Host::builder()
        .plugin(counts.plugin("guest"))
        .workers(3)
        .start()?;
    host.send_to_worker(0, Request::get("/"))?;
    assert_eq!(
        said(host.log()),
        ["5"],
        "canary, main thread, three workers"
    );
    Ok(())
}

#[test]
fn notifications_that_never_end_fail_the_test() {
    let guest = guest()
        .on(
            "configure",
            &format!(
                "{REGISTER} (drop (call $enqueue_shared_queue (i32.const 1) s(a))) i32.const 1"
            ),
        )
        .on(
            "queue_ready",
            "(drop (call $enqueue_shared_queue (local.get $n) s(a)))",
        );
    let error = Host::with(guest.plugin("guest"))
        .expect_err("there is always one more")
        .to_string();
    assert!(
        error.contains("was reached after 100,000 notifications"),
        "{error}"
    );
}
