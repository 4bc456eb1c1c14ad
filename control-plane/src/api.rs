//! The HTTP API: status, history, metrics, and a page for people.

mod guard;
mod page;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::exposition;
use crate::machine::{Denial, Wish};
use crate::plane::Plane;
use crate::status::Fault;

pub use self::guard::REQUIRED_HEADER;

/// Serves the API on a listener, for ever.
///
/// # Errors
///
/// Those of the listener.
pub async fn serve(listener: TcpListener, plane: Arc<Plane>) -> std::io::Result<()> {
    axum::serve(listener, router(plane)).await
}

fn router(plane: Arc<Plane>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/v1/rollouts", get(rollouts))
        .route("/v1/rollouts/{name}", get(rollout))
        .route("/v1/rollouts/{name}/history", get(history))
        .route("/v1/rollouts/{name}/promote", post(promote))
        .route("/v1/rollouts/{name}/undo", post(undo))
        .route("/metrics", get(metrics))
        .fallback(nothing)
        .layer(from_fn(guard::guard))
        .with_state(plane)
}

async fn rollouts(State(plane): State<Arc<Plane>>) -> Response {
    Json(plane.status()).into_response()
}

async fn rollout(State(plane): State<Arc<Plane>>, Path(name): Path<String>) -> Response {
    match plane.rollout(&name) {
        Some(rollout) => Json(rollout).into_response(),
        None => unknown(&plane, &name),
    }
}

async fn history(State(plane): State<Arc<Plane>>, Path(name): Path<String>) -> Response {
    match plane.history(&name) {
        Some(history) => Json(history).into_response(),
        None => unknown(&plane, &name),
    }
}

async fn promote(State(plane): State<Arc<Plane>>, Path(name): Path<String>) -> Response {
    wish(&plane, &name, Wish::Promote)
}

async fn undo(State(plane): State<Arc<Plane>>, Path(name): Path<String>) -> Response {
    wish(&plane, &name, Wish::Undo)
}

fn wish(plane: &Arc<Plane>, name: &str, wish: Wish) -> Response {
    match plane.wish(name, wish) {
        Ok(rollout) => Json(rollout).into_response(),
        Err(Denial::Unknown) => unknown(plane, name),
        Err(denial) => fault(StatusCode::CONFLICT, denial.to_string()),
    }
}

async fn metrics(State(plane): State<Arc<Plane>>) -> Response {
    let text = exposition::write(&plane.status(), &plane.totals());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn nothing() -> Response {
    let known = "/, /v1/rollouts, /v1/rollouts/NAME, /v1/rollouts/NAME/history, \
                 POST /v1/rollouts/NAME/promote, POST /v1/rollouts/NAME/undo, /metrics";
    fault(
        StatusCode::NOT_FOUND,
        format!("nothing is here; there are {known}"),
    )
}

fn unknown(plane: &Plane, name: &str) -> Response {
    let status = plane.status();
    let known: Vec<String> = status
        .rollouts
        .iter()
        .map(|rollout| format!("`{}`", rollout.name))
        .collect();
    let known = match known.is_empty() {
        true => "there are none".to_owned(),
        false => format!("there are {}", known.join(", ")),
    };
    fault(
        StatusCode::NOT_FOUND,
        format!("there is no rollout `{name}`; {known}"),
    )
}

fn fault(status: StatusCode, error: String) -> Response {
    (status, Json(Fault { error })).into_response()
}
