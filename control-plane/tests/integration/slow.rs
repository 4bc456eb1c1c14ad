//! Clients of discovery that take little of what they are sent, or nothing, and those that come in numbers.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use attache_control_plane::status::{EnvoyState, Phase};
use attache_control_plane::xds::{self, Limits};
use tokio::runtime::Runtime;
use tonic::Code;

use crate::clients::{Stream, channel, memory, obey};
use crate::stage::{LIMIT, Stage, module};

const SIZE: usize = 20 << 20;

/// A module of 20 MiB, most of which is a section that nobody reads.
fn large() -> Vec<u8> {
    let mut module = module().to_vec();
    let name = b"\x04test";
    module.push(0);
    let mut length = name.len() + SIZE;
    while length > 0x7f {
        module.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    module.push(u8::try_from(length).unwrap());
    module.extend(name);
    module.resize(module.len() + SIZE, 7);
    module
}

fn within(stage: &Stage, limits: Limits) -> SocketAddr {
    stage.spawn(|listener, plane| xds::serve_within(listener, plane, None, limits))
}

async fn open(discovery: SocketAddr, node: &str) -> Stream {
    let stream = Stream::open(channel(discovery).await, node, "edge");
    stream.await.unwrap()
}

#[test]
fn clients_that_stop_reading_in_the_middle_hold_up_nobody_and_are_cut_off() {
    const COUNT: usize = 20;
    let stage = Stage::new();
    stage.write("r.wasm", large());
    stage.declare("r", "a", "fails_when: { not_confirmed_within: 1h }\n");
    stage.reaches("r", Phase::Pushed);
    let limits = Limits {
        taken_within: Duration::from_secs(3),
        ..Limits::default()
    };
    let discovery = within(&stage, limits);
    let runtime = Runtime::new().unwrap();
    let before = memory();
    // Their connections answer pings and take as much as a window of HTTP/2 lets through, and no more.
    let silent = runtime.block_on(async {
        let mut silent = Vec::new();
        for number in 0..COUNT {
            silent.push(open(discovery, &format!("silent-{number}")).await);
        }
        silent
    });
    let begun = Instant::now();
    let size = runtime.block_on(async {
        let mut good = open(discovery, "good").await;
        let response = good.next().await.unwrap().unwrap();
        good.acknowledge(&response).await;
        tokio::spawn(obey(good));
        response.resources[0].value.len()
    });
    assert!(size > SIZE, "{size}");
    let took = begun.elapsed();
    let cost = memory().saturating_sub(before);
    println!(
        "beside {COUNT} that do not read: {} ms for {} MB; {} MB more memory",
        took.as_millis(),
        size >> 20,
        cost >> 20
    );
    stage.reaches_as("r", |status| {
        let gone = status.envoys.iter();
        let gone = gone.filter(|one| one.state == EnvoyState::Disconnected);
        gone.count() == COUNT && status.envoys.len() == COUNT + 1
    });
    let good = stage.plane.rollout("r").unwrap();
    let good = good.envoys.iter().find(|one| one.node == "good").unwrap();
    assert_eq!(good.state, EnvoyState::Acknowledged);
    drop(silent);
}

#[test]
fn a_version_that_was_overtaken_before_there_was_room_for_it_is_not_sent() {
    let stage = Stage::new();
    stage.write("r.wasm", large());
    let patient = "fails_when: { not_confirmed_within: 1h }\n";
    stage.declare("r", "a", patient);
    let first = stage.reaches("r", Phase::Pushed);
    let runtime = Runtime::new().unwrap();
    let limits = Limits {
        taken_within: Duration::from_secs(600),
        ..Limits::default()
    };
    let mut slow = runtime.block_on(open(within(&stage, limits), "slow"));
    let sent = |generation: Option<u64>| {
        stage.reaches_as("r", |status| {
            let mut envoys = status.envoys.iter();
            status.declared.generation > generation && envoys.any(|one| one.node == "slow")
        })
    };
    let mut last = first.declared.generation;
    stage.reaches_as("r", |status| !status.envoys.is_empty());
    for word in ["b", "c", "d"] {
        stage.declare("r", word, patient);
        last = sent(last).declared.generation;
    }
    let versions: Vec<String> = runtime.block_on(async {
        let mut versions = Vec::new();
        let last = last.unwrap().to_string();
        while versions.last() != Some(&last) {
            let response = tokio::time::timeout(LIMIT, slow.next()).await.unwrap();
            versions.push(response.unwrap().unwrap().version_info);
        }
        versions
    });
    // The first is on its way or not when the others come, and none of those between is sent.
    let first = first.declared.generation.unwrap().to_string();
    let last = last.unwrap().to_string();
    assert!(
        versions == [first, last.clone()] || versions == [last],
        "{versions:?}"
    );
}

/// Waits until the other side closes a connection.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    match stream.read(&mut [0; 1_024]) {
        Ok(0) => true,
        // What it says first.
        Ok(_) => is_closed(stream),
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn connections_that_are_too_many_are_closed_and_those_that_end_make_room() {
    let stage = Stage::new();
    let limits = Limits {
        connections_per_address: 2,
        idle: Duration::from_secs(600),
        ..Limits::default()
    };
    let discovery = within(&stage, limits);
    let runtime = Runtime::new().unwrap();
    let first = runtime.block_on(open(discovery, "first"));
    let second = TcpStream::connect(discovery).unwrap();
    assert!(is_closed(&TcpStream::connect(discovery).unwrap()));
    drop(second);
    let begun = Instant::now();
    // The one that has ended is seen to have ended.
    let third = loop {
        let again = runtime.block_on(async {
            let endpoint = tonic::transport::Channel::from_shared(format!("http://{discovery}"));
            let channel = endpoint.unwrap().connect().await.ok()?;
            Stream::open(channel, "third", "edge").await.ok()
        });
        match again {
            Some(stream) => break stream,
            None => assert!(begun.elapsed() < LIMIT),
        }
    };
    drop((first, third));
}

#[test]
fn streams_that_are_too_many_are_refused() {
    let stage = Stage::new();
    let limits = Limits {
        streams: 2,
        ..Limits::default()
    };
    let discovery = within(&stage, limits);
    let refused = Runtime::new().unwrap().block_on(async {
        let channel = channel(discovery).await;
        let _first = Stream::open(channel.clone(), "first", "edge")
            .await
            .unwrap();
        let _second = Stream::open(channel.clone(), "second", "edge")
            .await
            .unwrap();
        Stream::open(channel, "third", "edge").await.err().unwrap()
    });
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
}

#[test]
fn whoever_connects_and_says_nothing_is_cut_off_with_tls_too() {
    let stage = Stage::new();
    let limits = Limits {
        idle: Duration::from_millis(100),
        ..Limits::default()
    };
    let plain = within(&stage, limits.clone());
    let tls = crate::tls::tls();
    let with_tls =
        stage.spawn(|listener, plane| xds::serve_within(listener, plane, Some(tls), limits));
    for address in [plain, with_tls] {
        assert!(is_closed(&TcpStream::connect(address).unwrap()));
    }
}

#[test]
fn nodes_and_plugins_whose_names_cannot_be_shown_are_refused() {
    let stage = Stage::new();
    let runtime = Runtime::new().unwrap();
    let long = "x".repeat(2_000);
    for (node, group) in [("a\u{1b}[2J", "edge"), (&*long, "edge"), ("a", "e\ndge")] {
        let refused = runtime.block_on(async {
            let mut stream = Stream::open(channel(stage.discovery).await, node, group).await?;
            stream.next().await
        });
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    assert!(stage.reaches("r", Phase::Pushed).envoys.is_empty());
}
