use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::ControlPlane;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Status, Streaming};

use super::gate::Seat;
use super::letter::{Letter, Progress};
use super::node::{check, node_of};
use super::shelf::Shelf;
use crate::machine::{Event, Node, StreamId};
use crate::mailbox::{Mailbox, Parcel};
use crate::observer::Observer;
use crate::plane::Plane;
use crate::resource::TYPE_URL;

/// A peer has so long to say who it is.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// Names that one stream may ask for.
const MOST_NAMES: usize = 256;
/// Pushes that were not answered; Envoy answers each.
const MOST_UNANSWERED: usize = 64;
/// A peer that takes a piece now and then has so many times as long for the whole of a response.
const WHOLE: u32 = 10;

/// Attends to one stream until it ends.
pub(super) async fn run(
    plane: Arc<Plane>,
    shelf: Arc<Shelf>,
    seat: Seat,
    mut requests: Streaming<DiscoveryRequest>,
    letters: mpsc::Sender<Letter>,
    progress: Arc<Progress>,
) {
    let taken_within = seat.peer().limits().taken_within;
    let ended = match timeout(FIRST_REQUEST, requests.message()).await {
        Ok(Ok(Some(first))) => match node_of(first.node.as_ref(), seat.peer().address()) {
            Ok(node) => {
                let stream = Stream {
                    open: Open::new(plane, node),
                    shelf,
                    letters: letters.clone(),
                    taken: Taken::new(progress, taken_within),
                    names: BTreeSet::new(),
                    unanswered: BTreeMap::new(),
                    last_nonce: 0,
                };
                stream.attend(first, requests).await
            }
            Err(told) => Some(Status::invalid_argument(told)),
        },
        Ok(Ok(None)) => None,
        Ok(Err(status)) => Some(status),
        Err(_) => Some(Status::deadline_exceeded("no request came")),
    };
    // Whoever takes no more does not take the end either; what is kept for it is kept by the connection.
    let end = async {
        let _ = letters
            .send(Letter::End(ended.unwrap_or_else(|| Status::ok(""))))
            .await;
        letters.closed().await;
    };
    if timeout(taken_within, end).await.is_err() {
        seat.peer().cut_off();
    }
}

/// A stream as the plane knows it, which is told of its end whatever the end is.
struct Open {
    plane: Arc<Plane>,
    id: StreamId,
    mailbox: Arc<Mailbox>,
    /// Where the Envoy's counters are read, and what does so.
    observer: Option<(Arc<Observer>, AbortHandle)>,
}

impl Open {
    fn new(plane: Arc<Plane>, node: Node) -> Self {
        let (id, mailbox) = plane.open_stream();
        let observer = node.admin.map(|admin| {
            let observer = Observer::new(Arc::clone(&plane), id, node.clone(), admin);
            let running = tokio::spawn(Arc::clone(&observer).run());
            (observer, running.abort_handle())
        });
        plane.tell(Event::Connected { stream: id, node });
        Self {
            plane,
            id,
            mailbox,
            observer,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some((_, running)) = &self.observer {
            running.abort();
        }
        self.plane.close_stream(self.id);
    }
}

/// What the peer has taken of what it was sent.
struct Taken {
    progress: Arc<Progress>,
    /// It would take more.
    has_room: bool,
    within: Duration,
    sent: Instant,
    seen: (u64, Instant),
}

impl Taken {
    fn new(progress: Arc<Progress>, within: Duration) -> Self {
        Self {
            progress,
            has_room: false,
            within,
            sent: Instant::now(),
            seen: (0, Instant::now()),
        }
    }

    fn send(&mut self) {
        self.has_room = false;
        self.sent = Instant::now();
        self.seen = (self.progress.taken(), self.sent);
    }

    /// Waits until the peer would take more; fails if it takes nothing.
    async fn room(&mut self) -> Result<(), End> {
        loop {
            let late = sleep_until(self.seen.1 + self.within);
            tokio::select! {
                () = self.progress.hungry.notified() => {
                    self.has_room = true;
                    return Ok(());
                }
                () = late => {
                    let taken = self.progress.taken();
                    if taken == self.seen.0 || self.sent.elapsed() > self.within * WHOLE {
                        let told = "what was sent is not taken";
                        return Err(Some(Status::deadline_exceeded(told)));
                    }
                    self.seen = (taken, Instant::now());
                }
            }
        }
    }
}

/// Why a stream ends; nothing if the peer is gone.
type End = Option<Status>;

struct Stream {
    open: Open,
    shelf: Arc<Shelf>,
    letters: mpsc::Sender<Letter>,
    taken: Taken,
    names: BTreeSet<String>,
    /// What was sent under which nonce.
    unanswered: BTreeMap<u64, (String, u64)>,
    last_nonce: u64,
}

impl Stream {
    async fn attend(
        mut self,
        first: DiscoveryRequest,
        mut requests: Streaming<DiscoveryRequest>,
    ) -> End {
        let mailbox = Arc::clone(&self.open.mailbox);
        let letters = self.letters.clone();
        let mut attended = self.take(first);
        loop {
            if let Err(end) = attended {
                return end;
            }
            let has_room = self.taken.has_room;
            attended = tokio::select! {
                request = requests.message() => match request {
                    Ok(Some(request)) => self.take(request),
                    Ok(None) => Err(None),
                    Err(status) => Err(Some(status)),
                },
                () = letters.closed() => Err(None),
                room = self.taken.room(), if !has_room => room,
                // What waits is replaced by what is newer for as long as the peer has no room for it.
                parcel = mailbox.next(), if has_room => self.send(parcel).await,
            };
        }
    }

    fn take(&mut self, request: DiscoveryRequest) -> Result<(), End> {
        if !request.type_url.is_empty() && request.type_url != TYPE_URL {
            let told = format!("`{}` is not offered, only `{TYPE_URL}`", request.type_url);
            return Err(Some(Status::invalid_argument(told)));
        }
        self.take_answer(&request);
        let holds = request.version_info.parse().ok();
        for name in request.resource_names {
            check("the name of a plugin", &name)
                .map_err(|told| Some(Status::invalid_argument(told)))?;
            if self.names.len() >= MOST_NAMES && !self.names.contains(&name) {
                let told = format!("a stream may ask for {MOST_NAMES} plugins");
                return Err(Some(Status::resource_exhausted(told)));
            }
            if self.names.insert(name.clone()) {
                self.open.plane.tell(Event::Subscribed {
                    stream: self.open.id,
                    plugin: name,
                    holds,
                });
            }
        }
        Ok(())
    }

    /// What Envoy says to what it was sent; each answer names the nonce of what it answers.
    fn take_answer(&mut self, request: &DiscoveryRequest) {
        let nonce = request.response_nonce.parse::<u64>().ok();
        let Some((plugin, generation)) = nonce.and_then(|nonce| self.unanswered.remove(&nonce))
        else {
            return;
        };
        let stream = self.open.id;
        self.open.plane.tell(match &request.error_detail {
            None => Event::Acknowledged {
                stream,
                plugin,
                generation,
            },
            Some(error) => Event::Refused {
                stream,
                plugin,
                generation,
                reason: shown(&error.message),
            },
        });
    }

    /// One resource in each response: an answer is about all of a response.
    async fn send(&mut self, parcel: Parcel) -> Result<(), End> {
        let plugin = &parcel.rollout.plugin;
        let (stream, generation) = (self.open.id, parcel.generation);
        let (before, answered) = match &self.open.observer {
            Some((observer, _)) => (
                observer.before(plugin).await,
                observer.answers(&parcel.rollout, generation).await,
            ),
            None => (None, None),
        };
        // Another may have come while the Envoy was asked, and waits in the mailbox then.
        if !self.open.plane.wants(stream, plugin, generation) {
            return Ok(());
        }
        self.last_nonce += 1;
        let envelope = DiscoveryResponse {
            version_info: generation.to_string(),
            type_url: TYPE_URL.to_owned(),
            nonce: self.last_nonce.to_string(),
            control_plane: Some(ControlPlane {
                identifier: "attache".to_owned(),
            }),
            ..DiscoveryResponse::default()
        };
        self.unanswered
            .insert(self.last_nonce, (plugin.clone(), generation));
        if self.unanswered.len() > MOST_UNANSWERED {
            self.unanswered.pop_first();
        }
        let resource = self.shelf.resource(&parcel);
        let letter = Letter::Response { envelope, resource };
        self.open.plane.tell(Event::Sent {
            stream,
            plugin: plugin.clone(),
            generation,
            before,
            answered,
        });
        // There is room: the body has asked.
        self.letters.send(letter).await.map_err(|_| None)?;
        self.taken.send();
        if let Some((observer, _)) = &self.open.observer {
            observer.wake();
        }
        Ok(())
    }
}

/// What an Envoy says, as one line of bounded length.
fn shown(message: &str) -> String {
    let letters = message.chars().take(1_000);
    let letters = letters.map(|letter| if letter.is_control() { ' ' } else { letter });
    letters.collect()
}
