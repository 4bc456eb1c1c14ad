//! The callbacks that bring answers to call-outs.

use crate::tasks;
use crate::tasks::events::{self, Answer};

/// The callbacks that bring answers to call-outs, for a context of the crate below; the closure says
/// its root and its own id. They are the same for every kind of context: the answer goes to whoever
/// waits for its token.
macro_rules! answers_to_call_outs {
    (|$context:ident| $place:expr) => {
        fn on_http_call_response(
            &mut self,
            token: u32,
            headers: usize,
            body: usize,
            trailers: usize,
        ) {
            let kind = $crate::tasks::events::Kind::Http {
                headers,
                body,
                trailers,
            };
            let $context = self;
            $crate::entry::answers::arrived($place, token, kind);
        }

        fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
            let $context = self;
            let kind = $crate::tasks::events::Kind::GrpcCall { status, size };
            $crate::entry::answers::arrived($place, token, kind);
        }

        fn on_grpc_stream_initial_metadata(&mut self, token: u32, _count: u32) {
            let $context = self;
            $crate::entry::answers::arrived(
                $place,
                token,
                $crate::tasks::events::Kind::GrpcInitialMetadata,
            );
        }

        fn on_grpc_stream_message(&mut self, token: u32, size: usize) {
            let $context = self;
            $crate::entry::answers::arrived(
                $place,
                token,
                $crate::tasks::events::Kind::GrpcMessage { size },
            );
        }

        fn on_grpc_stream_trailing_metadata(&mut self, token: u32, _count: u32) {
            let $context = self;
            $crate::entry::answers::arrived(
                $place,
                token,
                $crate::tasks::events::Kind::GrpcTrailingMetadata,
            );
        }

        fn on_grpc_stream_close(&mut self, token: u32, status: u32) {
            let $context = self;
            $crate::entry::answers::arrived(
                $place,
                token,
                $crate::tasks::events::Kind::GrpcClose { status },
            );
        }
    };
}

pub(super) use answers_to_call_outs;

/// Passes an answer on, out of line: every kind of context has these callbacks.
#[inline(never)]
pub(super) fn arrived((root, id): (u32, u32), token: u32, kind: events::Kind) {
    tasks::answer(root, id, || events::answered(Answer { token, kind }));
}
