use super::*;
use crate::host::double::{self, Answer};
use crate::metrics::{Counter, Histogram};

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
fn metrics_of_a_set_share_the_values_of_their_labels() {
    double::answer([Answer::ok().number(4)]);
    let set = plugin()
        .metric_set(&["a", "b"], &[("node", "one two")])
        .unwrap();
    let count = set.metric::<Counter>("shop_total").unwrap();
    let took = set.metric::<Histogram>("shop_milliseconds").unwrap();
    for _ in 0..2 {
        let series = set.series([&b"1;b=2"[..], b""]);
        series.of(count).increment();
        series.of(took).record(1);
    }
    assert_eq!(
        defined(),
        [
            "shop_total;a=1_b_2;b=;node=one_two",
            "shop_milliseconds;a=1_b_2;b=;node=one_two",
        ]
    );
}

#[test]
fn past_the_bound_constant_labels_are_kept() {
    double::answer([Answer::ok().number(4)]);
    let set = plugin().metric_set(&["path"], &[("node", "n")]).unwrap();
    let set = set.at_most(2);
    let one = set.metric::<Counter>("one").unwrap();
    let two = set.metric::<Counter>("two").unwrap();
    let mut overflows = 0;
    for path in ["/a", "/b", "/c", "/a"] {
        let series = set.series([path]);
        series.of(one).increment();
        series.of(two).increment();
        overflows += usize::from(series.is_overflow());
    }
    assert_eq!(overflows, 2);
    assert_eq!(
        defined(),
        [
            "one;path=/a;node=n",
            "two;path=/a;node=n",
            "one;path=__overflow__;node=n",
            "two;path=__overflow__;node=n",
        ]
    );
}

#[test]
fn all_sets_of_a_vm_share_the_bound() {
    double::answer([Answer::ok().number(4)]);
    for label in ["a", "b", "c"] {
        let set = plugin().metric_set(&[label], &[]).unwrap().at_most(2);
        let total = set.metric::<Counter>("total").unwrap();
        set.series(["1"]).of(total).increment();
    }
    assert_eq!(
        defined(),
        ["total;a=1", "total;b=1", "total;c=__overflow__"]
    );
}

#[test]
fn a_plugin_that_is_configured_again_defines_nothing_again() {
    double::answer([Answer::ok().number(4)]);
    for more in ["first", "second"] {
        let set = plugin().metric_set(&["a"], &[]).unwrap();
        let total = set.metric::<Counter>("total").unwrap();
        let more = set.metric::<Counter>(more).unwrap();
        let series = set.series(["1"]);
        series.of(total).increment();
        series.of(more).increment();
    }
    assert_eq!(defined(), ["total;a=1", "first;a=1", "second;a=1"]);
}

#[test]
fn a_value_is_cut_where_the_set_says_and_what_is_missing_is_empty() {
    double::answer([Answer::ok().number(4)]);
    let set = plugin().metric_set(&["a", "b"], &[]).unwrap();
    let set = set.value_bytes(3);
    let total = set.metric::<Counter>("total").unwrap();
    set.series(["abcdef"]).of(total).increment();
    assert_eq!(defined(), ["total;a=abc;b="]);
}

#[test]
fn names_that_prometheus_does_not_know_are_refused() {
    double::answer([Answer::ok()]);
    for labels in [&["a-b"][..], &["1"], &["__a"], &[""], &["a", "a"], &["é"]] {
        assert!(plugin().metric_set(labels, &[]).is_err(), "{labels:?}");
    }
    assert!(plugin().metric_set(&["a"], &[("a", "1")]).is_err());
    let set = plugin().metric_set(&["a"], &[]).unwrap();
    assert!(set.metric::<Counter>("a b").is_err());
    assert_eq!(double::calls().len(), 0);
}

#[test]
fn whatever_the_host_answers_costs_no_request() {
    for (index, answer) in double::hostile().enumerate() {
        double::answer([answer]);
        let set = plugin().metric_set(&["a"], &[]).unwrap();
        let total = set.metric::<Counter>("total").unwrap();
        let value = index.to_string();
        set.series([&value]).of(total).increment();
        // One that the host refused is not tried again.
        double::answer([Answer::ok().number(4)]);
        set.series([&value]).of(total).increment();
        assert_eq!(defined(), [""; 0]);
    }
}
