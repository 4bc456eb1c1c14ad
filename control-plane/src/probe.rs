//! Requests on new connections, which show what the workers of an Envoy run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind::ConnectionRefused;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use hyper::body::Incoming;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::admin::{self, Connections};
use crate::connection::{Connection, ConnectionError};
use crate::machine::{Probing, Round};
use crate::rollout::Probe;

/// An Envoy that takes longer for an answer is said to give none.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// From the beginning of a round on: what was answered otherwise is not lost by looking which workers did not.
const LOOKED_CLOSER_WITHIN: Duration = Duration::from_secs(4);
/// Requests for each worker, and the most for all of them; what has not been seen then is tried again.
const EACH: u64 = 8;
const MOST: u64 = 64;
/// Requests at once: where workers share a socket, the first that is awake takes all that come together.
const AT_ONCE: usize = 4;

/// A connection stays open for as long as the body of its answer is not dropped unread.
type Held = (Connection, Response<Incoming>);

/// What became of a request on a connection of its own.
enum Outcome {
    /// As the version answers.
    Own(Held),
    /// Otherwise.
    Other(Held, String),
    /// Not at all.
    None(String),
    /// Nobody listens.
    Refused(String),
    /// There is no connection for another reason.
    Unreachable(String),
}

/// Whether an Envoy answers as this version is to, before it is sent; nothing if nobody knows. What is asked decides for
/// good, so that it is asked twice. `is_first` says that the Envoy has had no version yet.
pub(crate) async fn answers(probing: &Probing, is_first: bool) -> Option<bool> {
    let mut outcome = ask(probing).await;
    if matches!(outcome, Outcome::None(_)) {
        outcome = ask(probing).await;
    }
    before(&outcome, &probing.probe, is_first)
}

fn before(outcome: &Outcome, probe: &Probe, is_first: bool) -> Option<bool> {
    match outcome {
        Outcome::Own(_) => Some(true),
        Outcome::Other(..) => Some(false),
        // As long as a filter has no version, its listener is not open. What answers then without the filter may have
        // the status, but no header of it.
        Outcome::Refused(_) if is_first && !probe.expect.headers.is_empty() => Some(false),
        Outcome::Refused(_) | Outcome::Unreachable(_) | Outcome::None(_) => None,
    }
}

/// Asks on so many new connections that each worker is likely to take one. They stay open meanwhile: a listener that
/// gives each connection to the worker with the fewest spreads them then.
pub(crate) async fn round(admin: SocketAddr, probing: &Probing) -> Result<Round, String> {
    let end = Instant::now() + LOOKED_CLOSER_WITHIN;
    let before = admin::connections(admin).await?;
    let wanted = match probing.is_watched {
        // Another round comes soon.
        true => 1,
        false => before.workers.saturating_mul(EACH).clamp(EACH, MOST),
    };
    let mut round = Round {
        workers: before.workers,
        ..Round::default()
    };
    let mut held = Vec::new();
    let mut unanswered = None;
    while round.answers.all < wanted && round.other.is_none() && unanswered.is_none() {
        let mut asked = JoinSet::new();
        for _ in 0..AT_ONCE {
            let probing = probing.clone();
            asked.spawn(async move { ask(&probing).await });
        }
        while let Some(outcome) = asked.join_next().await {
            let fault = |_| "probing failed by a fault of this program".to_owned();
            match outcome.map_err(fault)? {
                Outcome::Own(connection) => held.push(connection),
                Outcome::Other(connection, other) => {
                    held.push(connection);
                    round.answers.failed += 1;
                    round.other = Some(other);
                }
                // Where it has run, no answer is a wrong one.
                Outcome::None(other) if probing.is_watched => {
                    round.answers.failed += 1;
                    round.other = Some(other);
                }
                Outcome::None(reason) | Outcome::Refused(reason) | Outcome::Unreachable(reason) => {
                    unanswered = Some(reason);
                    continue;
                }
            }
            round.answers.all += 1;
        }
    }
    let is_answered = unanswered.is_none();
    if let Some(reason) = unanswered.filter(|_| round.other.is_none()) {
        return Err(reason);
    }
    if round.other.is_none() {
        let after = admin::connections(admin).await?;
        round.running = certain(&before, &after, round.answers.all, probing.address);
    } else if is_answered && !probing.is_watched {
        drop(held);
        let closer = one_by_one(admin, probing, wanted, &mut round);
        let _ = timeout_at(end, closer).await;
    }
    Ok(round)
}

/// Which workers answer as the version is to, where some do not.
async fn one_by_one(
    admin: SocketAddr,
    probing: &Probing,
    wanted: u64,
    round: &mut Round,
) -> Result<(), String> {
    let mut before = admin::connections(admin).await?;
    let mut held = Vec::new();
    for _ in 0..wanted {
        let is_own = match ask(probing).await {
            Outcome::Own(connection) => {
                held.push(connection);
                true
            }
            Outcome::Other(connection, _) => {
                held.push(connection);
                round.answers.failed += 1;
                false
            }
            Outcome::None(_) | Outcome::Refused(_) | Outcome::Unreachable(_) => return Ok(()),
        };
        round.answers.all += 1;
        let after = admin::connections(admin).await?;
        if is_own {
            let one = certain(&before, &after, 1, probing.address);
            round.running.extend(one);
        }
        before = after;
    }
    Ok(())
}

async fn ask(probing: &Probing) -> Outcome {
    let (address, probe) = (probing.address, Arc::clone(&probing.probe));
    let asked = async {
        let mut connection = match Connection::open(address).await {
            Ok(connection) => connection,
            Err(error) => {
                let reason = format!("Envoy cannot be probed at {address}: {error}");
                return match error {
                    ConnectionError::Connect(error) if error.kind() == ConnectionRefused => {
                        Outcome::Refused(reason)
                    }
                    _ => Outcome::Unreachable(reason),
                };
            }
        };
        match difference(&mut connection, address, &probe, probing.generation).await {
            Ok((answer, None)) => Outcome::Own((connection, answer)),
            Ok((answer, Some(other))) => Outcome::Other((connection, answer), other),
            Err(error) => Outcome::None(format!("no answer: {error}")),
        }
    };
    let late = || Outcome::None(format!("no answer within {} s", ANSWERED_WITHIN.as_secs()));
    timeout(ANSWERED_WITHIN, asked)
        .await
        .unwrap_or_else(|_| late())
}

async fn difference(
    connection: &mut Connection,
    address: SocketAddr,
    probe: &Probe,
    generation: u64,
) -> Result<(Response<Incoming>, Option<String>), ConnectionError> {
    let host = probe.host.clone().unwrap_or_else(|| address.to_string());
    let answer = connection.get(&probe.path, &host).await?;
    let status = answer.status().as_u16();
    let difference = probe.difference(generation, status, |name| {
        let values = answer.headers().get_all(name).iter();
        values.map(|value| value.as_bytes()).collect()
    });
    Ok((answer, difference))
}

/// The workers that have taken at least one of so many connections of ours between two readings, for certain: more
/// than all the connections of others together.
fn certain(
    before: &Connections,
    after: &Connections,
    ours: u64,
    address: SocketAddr,
) -> BTreeSet<u64> {
    let all = after.taken.iter().filter_map(|(listener, now)| {
        let risen = risen(before.taken.get(listener), now);
        // Ours are among those of the listener that they came to.
        let all = sum(&risen);
        let is_ours = !is_of_another(listener, address.port());
        (is_ours && all >= ours).then_some((listener.as_str(), risen))
    });
    let mut all: BTreeMap<&str, BTreeMap<u64, u64>> = all.collect();
    let port = address.port();
    // As Envoy writes addresses into names of statistics.
    let exact = SocketAddr::new(address.ip().to_canonical(), port).to_string();
    let names = [
        exact.replace(':', "_"),
        format!("0.0.0.0_{port}"),
        format!("[__]_{port}"),
    ];
    let named = names.iter().find_map(|name| all.remove(name.as_str()));
    let only = |all: BTreeMap<&str, _>| all.into_values().next();
    let workers = named.or_else(|| Some(all).filter(|all| all.len() == 1).and_then(only));
    let workers = workers.unwrap_or_default();
    let others = sum(&workers).saturating_sub(ours);
    let certain = workers.into_iter().filter(|(_, risen)| *risen > others);
    certain.map(|(worker, _)| worker).collect()
}

/// Whether a listener is named by an address with another port, which another Envoy on the host may have. Port 0 stands for
/// whichever is free.
fn is_of_another(listener: &str, port: u16) -> bool {
    let is_address = |host: &str| host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
    listener.rsplit_once('_').is_some_and(|(host, own)| {
        is_address(host) && own.parse::<u16>().is_ok_and(|own| own != 0 && own != port)
    })
}

fn sum(risen: &BTreeMap<u64, u64>) -> u64 {
    risen.values().fold(0, |sum, one| sum.saturating_add(*one))
}

/// By how much the counters of a listener's workers have risen.
fn risen(before: Option<&BTreeMap<u64, u64>>, now: &BTreeMap<u64, u64>) -> BTreeMap<u64, u64> {
    let risen = now.iter().map(|(worker, now)| {
        let before = before.and_then(|before| before.get(worker));
        (*worker, now.saturating_sub(before.copied().unwrap_or(0)))
    });
    risen.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(taken: &[(&str, &[(u64, u64)])]) -> Connections {
        let of = |workers: &[(u64, u64)]| workers.iter().copied().collect();
        let taken = taken
            .iter()
            .map(|(name, workers)| ((*name).to_owned(), of(workers)));
        Connections {
            workers: 2,
            taken: taken.collect::<BTreeMap<String, BTreeMap<u64, u64>>>(),
        }
    }

    /// The workers that have taken one of eight connections, when the counters have risen by these.
    fn of_eight(risen: &[(&str, &[(u64, u64)])]) -> Vec<u64> {
        let before = risen.iter().map(|(name, workers)| {
            let zero: Vec<(u64, u64)> = workers.iter().map(|(worker, _)| (*worker, 0)).collect();
            ((*name).to_owned(), zero.into_iter().collect())
        });
        let before = Connections {
            workers: 2,
            taken: before.collect(),
        };
        let address = "127.0.0.1:80".parse().unwrap();
        let workers = certain(&before, &connections(risen), 8, address);
        workers.into_iter().collect()
    }

    #[test]
    fn a_worker_is_certain_when_it_took_more_than_all_that_others_made() {
        assert_eq!(of_eight(&[("x", &[(0, 5), (1, 3)])]), [0, 1]);
        assert_eq!(of_eight(&[("x", &[(0, 8), (1, 0)])]), [0]);
        // Three of others, and any three of those of the second worker may be theirs.
        assert_eq!(of_eight(&[("x", &[(0, 8), (1, 3)])]), [0]);
        assert_eq!(of_eight(&[("x", &[(0, 7), (1, 4)])]), [0, 1]);
        assert_eq!(of_eight(&[("x", &[(0, 20), (1, 20)])]), [] as [u64; 0]);
    }

    #[test]
    fn a_listener_that_is_not_open_tells_nothing_but_of_the_first_version_and_a_header() {
        let probe = |expect: &str| serde_json::from_str::<Probe>(expect).unwrap();
        let header = probe(r#"{"expect":{"headers":{"x-build":"7"}}}"#);
        let status = probe(r#"{"expect":{"status":200}}"#);
        let refused = Outcome::Refused(String::new());
        assert_eq!(before(&refused, &header, true), Some(false));
        assert_eq!(before(&refused, &header, false), None);
        assert_eq!(before(&refused, &status, true), None);
        for other in [
            Outcome::Unreachable(String::new()),
            Outcome::None(String::new()),
        ] {
            assert_eq!(before(&other, &header, true), None);
        }
    }

    #[test]
    fn what_came_to_another_listener_is_not_ours() {
        let other: &[(u64, u64)] = &[(0, 900), (1, 900)];
        let own: &[(u64, u64)] = &[(0, 7), (1, 1)];
        assert_eq!(of_eight(&[("127.0.0.1_80", own), ("x", other)]), [0, 1]);
        assert_eq!(of_eight(&[("0.0.0.0_80", own), ("x", other)]), [0, 1]);
        assert_eq!(of_eight(&[("[__]_80", own), ("x", other)]), [0, 1]);
        // Another Envoy of the host has the port, whatever its own listener has taken.
        assert_eq!(of_eight(&[("127.0.0.1_81", own)]), [] as [u64; 0]);
        assert_eq!(of_eight(&[("[__1]_81", own)]), [] as [u64; 0]);
        assert_eq!(of_eight(&[("edge_81", own)]), [0, 1], "a name of its own");
        // Whose they are, nobody can tell.
        assert_eq!(of_eight(&[("y", own), ("x", other)]), [] as [u64; 0]);
        // Another Envoy has this port too, and took some of them.
        assert_eq!(of_eight(&[("x", &[(0, 3), (1, 2)])]), [] as [u64; 0]);
    }
}
