//! The admin API: health for load balancers, metrics for Prometheus, status for people. Loopback by default, never
//! reachable from a SIP listener.

mod bans;
mod member;
mod metrics;
mod reload;
mod report;

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use tokio::task::spawn_blocking;

pub(crate) use self::bans::{Bans, Lift};
pub(crate) use self::member::{MemberOrder, MemberRequest};
pub(crate) use self::metrics::{UdpTotals, registry};
pub(crate) use self::reload::{Problems, ReloadRequest, Reloaded};
pub(crate) use self::report::{DiscoverReport, ListenerReport, PoolReport, Report, Status};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the API tells; asked anew by every request.
pub(crate) trait Facts: Send + Sync + 'static {
    /// False when a worker is stuck and only a restart helps.
    fn alive(&self) -> bool;
    /// Everything else.
    fn status(&self) -> Status;
    /// The bans in force.
    fn bans(&self) -> Bans;
}

/// What the API can have done. A call may block; it never runs on a worker's thread.
pub(crate) trait Control: Send + Sync + 'static {
    /// Take over the file, or what ran before the last change.
    ///
    /// # Errors
    /// All that is wrong, one line each; then nothing has changed.
    fn reload(&self, previous: bool) -> Result<Reloaded, Vec<String>>;
    /// End a ban. False: there is none.
    fn lift_ban(&self, source: std::net::IpAddr) -> bool;
    /// Let a member, by its URI or address, work, drain or rest. False where no pool has it.
    fn set_order(&self, member: &str, order: MemberOrder) -> bool;
}

struct Admin<F> {
    facts: Arc<F>,
    registry: Registry,
}

/// Serves until `stop` is there.
///
/// # Errors
/// When the runtime cannot watch the socket.
pub(crate) async fn serve<F: Facts + Control>(
    socket: TcpListener,
    facts: Arc<F>,
    registry: Registry,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let socket = tokio::net::TcpListener::from_std(socket)?;
    axum::serve(socket, router(Admin { facts, registry })).with_graceful_shutdown(stop).await
}

fn router<F: Facts + Control>(admin: Admin<F>) -> Router {
    Router::new()
        .route("/livez", get(livez::<F>))
        .route("/readyz", get(readyz::<F>))
        .route("/metrics", get(show_metrics::<F>))
        .route("/api/v1/status", get(status::<F>))
        .route("/api/v1/reload", post(reload::<F>))
        .route("/api/v1/bans", get(bans::<F>))
        .route("/api/v1/bans/lift", post(lift_ban::<F>))
        .route("/api/v1/pool/member", post(set_order::<F>))
        .with_state(Arc::new(admin))
}

async fn livez<F: Facts>(State(admin): State<Arc<Admin<F>>>) -> impl IntoResponse {
    if admin.facts.alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "a worker is stuck\n")
    }
}

async fn readyz<F: Facts>(State(admin): State<Arc<Admin<F>>>) -> impl IntoResponse {
    match admin.facts.status().missing() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(pool) => (StatusCode::SERVICE_UNAVAILABLE, format!("no member of pool {pool} is up\n")),
    }
}

async fn status<F: Facts>(State(admin): State<Arc<Admin<F>>>) -> impl IntoResponse {
    Json(admin.facts.status())
}

/// Only as JSON: that is what keeps a browser on this machine from being made to ask.
async fn reload<F: Facts + Control>(
    State(admin): State<Arc<Admin<F>>>,
    Json(request): Json<ReloadRequest>,
) -> Response {
    let facts = Arc::clone(&admin.facts);
    match spawn_blocking(move || facts.reload(request.previous)).await {
        Ok(Ok(reloaded)) => Json(reloaded).into_response(),
        Ok(Err(problems)) => (StatusCode::UNPROCESSABLE_ENTITY, Json(Problems { problems })).into_response(),
        // The program stops.
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn bans<F: Facts>(State(admin): State<Arc<Admin<F>>>) -> impl IntoResponse {
    Json(admin.facts.bans())
}

async fn lift_ban<F: Facts + Control>(
    State(admin): State<Arc<Admin<F>>>,
    Json(Lift { source }): Json<Lift>,
) -> impl IntoResponse {
    if admin.facts.lift_ban(source) {
        (StatusCode::OK, "lifted\n")
    } else {
        (StatusCode::NOT_FOUND, "not banned\n")
    }
}

/// Only as JSON, for the same reason.
async fn set_order<F: Facts + Control>(
    State(admin): State<Arc<Admin<F>>>,
    Json(request): Json<MemberRequest>,
) -> Response {
    if admin.facts.set_order(&request.member, request.order) {
        return Json(request).into_response();
    }
    let problems = vec![format!("no pool has a member {:?}", request.member)];
    (StatusCode::NOT_FOUND, Json(Problems { problems })).into_response()
}

async fn show_metrics<F: Facts>(State(admin): State<Arc<Admin<F>>>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &admin.registry) {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, OPENMETRICS)], text),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], error.to_string())
        }
    }
}
