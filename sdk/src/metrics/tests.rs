use std::time::Duration;

use super::*;
use crate::host::double::{self, Answer};

const TIERS: Family<Counter, 1> = Family::new("tiers_total", ["tier"]).at_most(2);

fn plugin() -> Plugin {
    Plugin::new(String::new())
}

fn defined() -> Vec<String> {
    let made = double::made().into_iter();
    made.filter(|call| call.name == "proxy_define_metric")
        .map(|call| String::from_utf8(call.bytes).unwrap())
        .collect()
}

#[test]
fn a_name_is_defined_once_however_often_it_is_asked_for() {
    double::answer([Answer::ok().number(4)]);
    for _ in 0..3 {
        plugin().counter("a").unwrap().increment();
        plugin().gauge("a").unwrap().set(1);
    }
    assert_eq!(defined(), ["a", "a"]);
    assert_eq!(double::calls().len(), 8);
}

#[test]
fn what_changes_nothing_costs_no_call() {
    double::answer([Answer::ok().number(4)]);
    let (counter, gauge) = (Counter(Some(4)), Gauge(Some(5)));
    counter.add(0);
    gauge.add(0);
    gauge.subtract(0);
    assert_eq!(double::calls().len(), 0);
    counter.add(u64::MAX);
    assert_eq!(double::made()[0].bytes, i64::MAX.to_le_bytes());
}

#[test]
fn a_gauge_that_is_held_goes_down_with_the_guard() {
    double::answer([Answer::ok()]);
    let gauge = Gauge(Some(5));
    let held = gauge.hold();
    drop(held);
    let made = double::made();
    assert_eq!(made[0].bytes, 1_i64.to_le_bytes());
    assert_eq!(made[1].bytes, (-1_i64).to_le_bytes());
}

#[test]
fn names_that_prometheus_does_not_know_are_refused_without_a_call() {
    double::answer([Answer::ok()]);
    for name in ["", "1st", "a-b", "a b", "é", "a;b=c", "a\0"] {
        assert!(plugin().counter(name).is_err(), "{name}");
    }
    assert_eq!(double::calls().len(), 0);
    assert!(plugin().histogram("a.b:c_1").is_ok());
}

#[test]
fn past_the_bound_all_series_are_one() {
    double::answer([Answer::ok().number(4)]);
    let series = plugin().family(&TIERS).unwrap();
    for tier in ["a", "b", "c", "d", "a", "c"] {
        series.with([tier]).increment();
    }
    assert_eq!(
        defined(),
        [
            "tiers_total;tier=a",
            "tiers_total;tier=b",
            "tiers_total;tier=__overflow__"
        ]
    );
    // Another plugin of the VM, and the same one after a reload, find the same bound.
    plugin().family(&TIERS).unwrap().with(["e"]).increment();
    assert_eq!(defined().len(), 3);
}

#[test]
fn a_value_cannot_end_its_label() {
    double::answer([Answer::ok().number(4)]);
    let series = plugin().family(&TIERS).unwrap();
    series.with([&b"a;tier=b\"\n\xff"[..]]).increment();
    series.with([vec![b'x'; 500]]).increment();
    let names = defined();
    assert_eq!(names[0], "tiers_total;tier=a_tier_b___");
    assert_eq!(names[1].len(), "tiers_total;tier=".len() + 120);
}

#[test]
fn a_series_that_the_host_refuses_is_not_tried_again() {
    double::answer([Answer::status(10)]);
    let series = plugin().family(&TIERS).unwrap();
    series.with(["a"]).increment();
    series.with(["a"]).increment();
    assert_eq!(double::calls(), ["proxy_define_metric"]);
}

#[test]
fn a_configuration_is_counted_by_the_last_digit_of_its_generation() {
    let environment = Answer::bytes("ATTACHE_GENERATION=1017\0");
    let rest = [Answer::bytes("shop"), Answer::ok().number(4)];
    double::answer([environment].into_iter().chain(rest));
    standing::configured();
    assert_eq!(defined(), ["attache_configured_total;plugin=shop;slot=7"]);
    for environment in ["", "ATTACHE_GENERATION=\0", "ATTACHE_GENERATION=v1.x\0"] {
        double::answer([Answer::bytes(environment)]);
        standing::configured();
        assert_eq!(double::calls(), ["environ_get"]);
    }
}

#[test]
fn a_plugin_that_fails_again_is_counted_by_the_same_metric() {
    double::answer([Answer::bytes("shop").number(4)]);
    failed();
    failed();
    assert_eq!(defined(), ["attache_errors_total;plugin=shop"]);
}

#[test]
fn whatever_the_host_answers_costs_no_request() {
    for answer in double::hostile() {
        let good = answer.status == 0;
        double::answer([answer]);
        let (counter, gauge) = (Counter(Some(4)), Gauge(Some(5)));
        counter.increment();
        gauge.set(1);
        drop(gauge.hold());
        Histogram(Some(6)).record_milliseconds(Duration::MAX);
        assert_eq!(counter.value().is_ok(), good);
        assert_eq!(gauge.value().is_ok(), good);
        let outcomes = plugin().outcomes();
        outcomes.request();
        outcomes.matched();
        outcomes.denied();
        outcomes.skipped("reason");
        failed();
        standing::configured();
    }
    // What was defined above stays defined, so these are names of their own.
    for (index, answer) in double::hostile().enumerate() {
        let good = answer.status == 0;
        double::answer([answer]);
        let name = format!("hostile_{index}");
        assert_eq!(plugin().counter(&name).is_ok(), good);
    }
}
