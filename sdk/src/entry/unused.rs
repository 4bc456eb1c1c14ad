//! What the contexts of `proxy-wasm` offer to filters that are written with it, and nobody calls here.
//!
//! A trait object carries every method of its trait, the default ones too, and those of `proxy-wasm`
//! bring its host calls along, with the panics in them: 15 of the 184 KB of a small module. So each is
//! given a body that does nothing. Host calls are made by [`crate::host`] alone.

pub(super) use std::time::{Duration, SystemTime};

pub(super) use proxy_wasm::types::{GrpcStatusCode, Status};

/// The value of a method that nobody calls.
pub(super) trait Nothing {
    fn nothing() -> Self;
}

macro_rules! nothing {
    ($(($($type:tt)+): $value:expr;)+) => {
        $(impl $($type)+ {
            fn nothing() -> Self {
                $value
            }
        })+
    };
}

nothing! {
    (Nothing for ()): ();
    (Nothing for u32): 0;
    (Nothing for SystemTime): SystemTime::UNIX_EPOCH;
    (<T> Nothing for Option<T>): None;
    (<T> Nothing for Vec<T>): Vec::new();
    (<T> Nothing for Result<T, Status>): Err(Status::InternalFailure);
    (<A: Nothing, B: Nothing> Nothing for (A, B)): (A::nothing(), B::nothing());
}

macro_rules! unused {
    ($($name:ident($($argument:ty),*) $(-> $answer:ty)?;)+) => {
        $(
            fn $name(&self $(, _: $argument)*) $(-> $answer)? {
                unused::Nothing::nothing()
            }
        )+
    };
}

/// Those of `Context`.
macro_rules! unused_of_context {
    () => {
        unused! {
            get_current_time() -> unused::SystemTime;
            get_property(Vec<&str>) -> Option<Vec<u8>>;
            set_property(Vec<&str>, Option<&[u8]>);
            get_shared_data(&str) -> (Option<Vec<u8>>, Option<u32>);
            set_shared_data(&str, Option<&[u8]>, Option<u32>) -> Result<(), unused::Status>;
            remove_shared_data(&str, Option<u32>) -> Result<(), unused::Status>;
            register_shared_queue(&str) -> u32;
            resolve_shared_queue(&str, &str) -> Option<u32>;
            dequeue_shared_queue(u32) -> Result<Option<Vec<u8>>, unused::Status>;
            enqueue_shared_queue(u32, Option<&[u8]>) -> Result<(), unused::Status>;
            dispatch_http_call(
                &str,
                Vec<(&str, &str)>,
                Option<&[u8]>,
                Vec<(&str, &str)>,
                unused::Duration
            ) -> Result<u32, unused::Status>;
            get_http_call_response_headers() -> Vec<(String, String)>;
            get_http_call_response_headers_bytes() -> Vec<(String, Vec<u8>)>;
            get_http_call_response_header(&str) -> Option<String>;
            get_http_call_response_header_bytes(&str) -> Option<Vec<u8>>;
            get_http_call_response_body(usize, usize) -> Option<Vec<u8>>;
            get_http_call_response_trailers() -> Vec<(String, String)>;
            get_http_call_response_trailers_bytes() -> Vec<(String, Vec<u8>)>;
            get_http_call_response_trailer(&str) -> Option<String>;
            get_http_call_response_trailer_bytes(&str) -> Option<Vec<u8>>;
            dispatch_grpc_call(
                &str,
                &str,
                &str,
                Vec<(&str, &[u8])>,
                Option<&[u8]>,
                unused::Duration
            ) -> Result<u32, unused::Status>;
            get_grpc_call_response_body(usize, usize) -> Option<Vec<u8>>;
            cancel_grpc_call(u32);
            open_grpc_stream(&str, &str, &str, Vec<(&str, &[u8])>) -> Result<u32, unused::Status>;
            get_grpc_stream_initial_metadata() -> Vec<(String, Vec<u8>)>;
            get_grpc_stream_initial_metadata_value(&str) -> Option<Vec<u8>>;
            send_grpc_stream_message(u32, Option<&[u8]>, bool);
            get_grpc_stream_trailing_metadata() -> Vec<(String, Vec<u8>)>;
            get_grpc_stream_trailing_metadata_value(&str) -> Option<Vec<u8>>;
            cancel_grpc_stream(u32);
            close_grpc_stream(u32);
            get_grpc_status() -> (u32, Option<String>);
            call_foreign_function(&str, Option<&[u8]>) -> Result<Option<Vec<u8>>, unused::Status>;
            done();
        }

        fn get_grpc_stream_message(&mut self, _: usize, _: usize) -> Option<Vec<u8>> {
            None
        }
    };
}

/// Those of `RootContext`.
macro_rules! unused_of_root_context {
    () => {
        unused! {
            get_vm_configuration() -> Option<Vec<u8>>;
            get_plugin_configuration() -> Option<Vec<u8>>;
            set_tick_period(unused::Duration);
        }
    };
}

/// Those of `StreamContext`.
macro_rules! unused_of_stream_context {
    () => {
        unused! {
            get_downstream_data(usize, usize) -> Option<Vec<u8>>;
            set_downstream_data(usize, usize, &[u8]);
            resume_downstream();
            close_downstream();
            get_upstream_data(usize, usize) -> Option<Vec<u8>>;
            set_upstream_data(usize, usize, &[u8]);
            resume_upstream();
            close_upstream();
        }
    };
}

/// Those of `HttpContext`.
macro_rules! unused_of_http_context {
    () => {
        unused! {
            get_http_request_headers() -> Vec<(String, String)>;
            get_http_request_headers_bytes() -> Vec<(String, Vec<u8>)>;
            set_http_request_headers(Vec<(&str, &str)>);
            set_http_request_headers_bytes(Vec<(&str, &[u8])>);
            get_http_request_header(&str) -> Option<String>;
            get_http_request_header_bytes(&str) -> Option<Vec<u8>>;
            set_http_request_header(&str, Option<&str>);
            set_http_request_header_bytes(&str, Option<&[u8]>);
            add_http_request_header(&str, &str);
            add_http_request_header_bytes(&str, &[u8]);
            remove_http_request_header(&str);
            get_http_request_body(usize, usize) -> Option<Vec<u8>>;
            set_http_request_body(usize, usize, &[u8]);
            get_http_request_trailers() -> Vec<(String, String)>;
            get_http_request_trailers_bytes() -> Vec<(String, Vec<u8>)>;
            set_http_request_trailers(Vec<(&str, &str)>);
            set_http_request_trailers_bytes(Vec<(&str, &[u8])>);
            get_http_request_trailer(&str) -> Option<String>;
            get_http_request_trailer_bytes(&str) -> Option<Vec<u8>>;
            set_http_request_trailer(&str, Option<&str>);
            set_http_request_trailer_bytes(&str, Option<&[u8]>);
            add_http_request_trailer(&str, &str);
            add_http_request_trailer_bytes(&str, &[u8]);
            remove_http_request_trailer(&str);
            resume_http_request();
            reset_http_request();
            get_http_response_headers() -> Vec<(String, String)>;
            get_http_response_headers_bytes() -> Vec<(String, Vec<u8>)>;
            set_http_response_headers(Vec<(&str, &str)>);
            set_http_response_headers_bytes(Vec<(&str, &[u8])>);
            get_http_response_header(&str) -> Option<String>;
            get_http_response_header_bytes(&str) -> Option<Vec<u8>>;
            set_http_response_header(&str, Option<&str>);
            set_http_response_header_bytes(&str, Option<&[u8]>);
            add_http_response_header(&str, &str);
            add_http_response_header_bytes(&str, &[u8]);
            remove_http_response_header(&str);
            get_http_response_body(usize, usize) -> Option<Vec<u8>>;
            set_http_response_body(usize, usize, &[u8]);
            get_http_response_trailers() -> Vec<(String, String)>;
            get_http_response_trailers_bytes() -> Vec<(String, Vec<u8>)>;
            set_http_response_trailers(Vec<(&str, &str)>);
            set_http_response_trailers_bytes(Vec<(&str, &[u8])>);
            get_http_response_trailer(&str) -> Option<String>;
            get_http_response_trailer_bytes(&str) -> Option<Vec<u8>>;
            set_http_response_trailer(&str, Option<&str>);
            set_http_response_trailer_bytes(&str, Option<&[u8]>);
            add_http_response_trailer(&str, &str);
            add_http_response_trailer_bytes(&str, &[u8]);
            remove_http_response_trailer(&str);
            resume_http_response();
            reset_http_response();
            send_http_response(u32, Vec<(&str, &str)>, Option<&[u8]>);
            send_grpc_response(unused::GrpcStatusCode, Option<&str>, Vec<(&str, &[u8])>);
        }
    };
}

pub(super) use {
    unused, unused_of_context, unused_of_http_context, unused_of_root_context,
    unused_of_stream_context,
};
