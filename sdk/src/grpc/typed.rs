use std::fmt;
use std::marker::PhantomData;

use prost::Message;

use super::{GrpcStream, Rpc};
use crate::cluster::{CallError, CallErrorKind};

impl Rpc {
    /// Sends one message of a type of `prost`, and waits for one; as [`unary`](Self::unary) does on
    /// bytes. Needs this crate's feature `prost`.
    ///
    /// A type derives `prost::Message`, or is made from a `.proto` file by `prost-build`:
    ///
    /// ```ignore
    /// #[derive(Clone, PartialEq, prost::Message)]
    /// struct User {
    ///     #[prost(string, tag = "1")]
    ///     name: String,
    /// }
    /// ```
    ///
    /// Some of Protobuf's own are types of Rust's: `()` is the empty message, and a `String` is a
    /// `google.protobuf.StringValue`.
    ///
    /// ```
    /// use attache::cluster::{CallError, Cluster};
    ///
    /// async fn left(quotas: &Cluster, name: String) -> Result<u64, CallError> {
    ///     quotas.grpc("shop.Quotas", "Left").unary_message(&name).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As in [`unary`](Self::unary), and [`CallErrorKind::NotProtobuf`] for an answer that is no such
    /// message.
    pub async fn unary_message<A: Message + Default>(
        self,
        message: &impl Message,
    ) -> Result<A, CallError> {
        let cluster = self.cluster.clone();
        let answer = self.unary(message.encode_to_vec()).await?;
        A::decode(answer.as_slice())
            .map_err(|_| CallError::new(&cluster, CallErrorKind::NotProtobuf))
    }

    /// Begins a stream of messages of two types of `prost`: what goes out, and what comes in. As
    /// [`open`](Self::open) does on bytes. Needs this crate's feature `prost`.
    ///
    /// ```
    /// use attache::cluster::{CallError, Cluster};
    ///
    /// async fn last_word(chat: &Cluster) -> Result<Option<String>, CallError> {
    ///     let call = chat.grpc("chat.Service", "Talk");
    ///     let mut talk = call.open_messages::<String, String>().await?;
    ///     talk.send(&"hello".to_owned())?;
    ///     talk.finish()?;
    ///     let mut last = None;
    ///     while let Some(word) = talk.next().await? {
    ///         last = Some(word);
    ///     }
    ///     Ok(last)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As in [`open`](Self::open).
    pub async fn open_messages<Q: Message, A: Message + Default>(
        self,
    ) -> Result<MessageStream<Q, A>, CallError> {
        Ok(MessageStream {
            stream: self.open().await?,
            messages: PhantomData,
        })
    }
}

/// A gRPC stream on messages; see [`Rpc::open_messages`]. Dropping it resets it, unless it has ended.
///
/// ```
/// use attache::cluster::CallError;
/// use attache::grpc::MessageStream;
///
/// /// Sends the words, and counts those that come back.
/// async fn echo(
///     talk: &mut MessageStream<String, String>,
///     words: &[String],
/// ) -> Result<usize, CallError> {
///     for word in words {
///         talk.send(word)?;
///     }
///     talk.finish()?;
///     let mut count = 0;
///     while talk.next().await?.is_some() {
///         count += 1;
///     }
///     attache::log::debug!("{:?}", talk.bytes().trailers());
///     Ok(count)
/// }
/// ```
pub struct MessageStream<Q, A> {
    stream: GrpcStream,
    messages: PhantomData<fn(Q) -> A>,
}

impl<Q: Message, A: Message + Default> MessageStream<Q, A> {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// As in [`GrpcStream::send`].
    pub fn send(&mut self, message: &Q) -> Result<(), CallError> {
        self.stream.send(&message.encode_to_vec())
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    ///
    /// As in [`GrpcStream::finish`].
    pub fn finish(&mut self) -> Result<(), CallError> {
        self.stream.finish()
    }

    /// The next message; `None` when the stream has ended with status 0.
    ///
    /// # Errors
    ///
    /// As in [`GrpcStream::next`], and [`CallErrorKind::NotProtobuf`] for what is no such message; the
    /// stream goes on then.
    pub async fn next(&mut self) -> Result<Option<A>, CallError> {
        let Some(message) = self.stream.next().await? else {
            return Ok(None);
        };
        let message = A::decode(message.as_slice());
        message
            .map(Some)
            .map_err(|_| self.stream.error(CallErrorKind::NotProtobuf))
    }

    /// The stream on bytes, with its metadata.
    #[must_use]
    pub fn bytes(&self) -> &GrpcStream {
        &self.stream
    }
}

impl<Q, A> fmt::Debug for MessageStream<Q, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(formatter)
    }
}
