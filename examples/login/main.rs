//! A small login page: password hashes, sessions in memory or in Redis, protection from cross-site
//! requests, a clean shutdown.
//!
//! ```text
//! cargo run --example login
//! cargo run --example login --features redis -- --store redis://127.0.0.1/
//! ```
//!
//! Then open <http://127.0.0.1:3000>. `--help` lists the options.

mod page;
mod users;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use clap::Parser;
use clap::builder::BoolishValueParser;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use tower_keycard::{AnyStore, MemoryStore, Session, SessionConfig, SessionError, SessionLayer};

use self::page::Notice;
use self::users::Users;

/// A login page on sessions of `tower-keycard`.
#[derive(Debug, Parser)]
struct Options {
    /// Address to listen on; port 0 takes a free port
    #[arg(
        long,
        env = "KEYCARD_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:3000"
    )]
    listen: String,

    /// Where sessions are kept: `memory`, or the URL of a Redis server: redis://[user:password@]host[:port][/db]
    #[arg(
        long,
        env = "KEYCARD_STORE",
        value_name = "STORE",
        default_value = "memory",
        hide_env_values = true // the URL may hold a password
    )]
    store: String,

    /// Idle limit: a session ends after this time without a request
    #[arg(long, env = "KEYCARD_IDLE", value_name = "TIME", default_value = "30m", value_parser = humantime::parse_duration)]
    idle: Duration,

    /// Absolute limit: a session ends this long after the login, even if it is used
    #[arg(long, env = "KEYCARD_ABSOLUTE", value_name = "TIME", default_value = "8h", value_parser = humantime::parse_duration)]
    absolute: Duration,

    /// Every request counts as use of the session, even if its handler does not ask for the session
    #[arg(long, env = "KEYCARD_SAVE_EVERY_REQUEST", value_parser = BoolishValueParser::new())]
    save_every_request: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let sessions = SessionLayer::builder(open(&options.store).await?)
        .config(
            SessionConfig::new()
                .idle(options.idle)
                .absolute(options.absolute)
                .save_every_request(options.save_every_request),
        )
        .build()?;

    let listener = TcpListener::bind(&options.listen).await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "listening on http://{address}")?;

    axum::serve(listener, app(sessions.clone()))
        .with_graceful_shutdown(shutdown_signal())
        .await?;

    // A write goes on when its client hangs up: let the last ones reach the store.
    sessions.drain().await;
    Ok(())
}

async fn open(store: &str) -> Result<AnyStore, Box<dyn Error>> {
    match store {
        "memory" => Ok(AnyStore::new(MemoryStore::new())),
        #[cfg(feature = "redis")]
        url => Ok(AnyStore::new(
            tower_keycard::RedisStore::connect(url).await?,
        )),
        #[cfg(not(feature = "redis"))]
        _ => Err("this build keeps sessions in memory only: build with --features redis".into()),
    }
}

fn app(sessions: SessionLayer) -> Router {
    let csrf = CsrfLayer::new().with_rejection_response(|_: ProtectionError| {
        (
            StatusCode::FORBIDDEN,
            "This request came from another site.\n",
        )
            .into_response()
    });

    // The layer added last is the outermost one. A request from another site must not reach `login`,
    // so the check of its origin is outside of the sessions.
    Router::new()
        .route("/", get(home))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/whoami", get(whoami))
        .route("/health", get(|| async { "ok\n" }))
        .route("/style.css", get(style))
        .with_state(Users::demo())
        .layer(DefaultBodyLimit::max(4096))
        .layer(sessions)
        .layer(csrf)
        .layer(map_response(with_security_headers))
}

async fn home(session: Session) -> Result<Response, SessionError> {
    let pages_seen = session.update("pages_seen", |n: Option<u32>| n.unwrap_or(0) + 1)?;
    Ok(show(&session, pages_seen, Notice::None))
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

async fn login(
    State(users): State<Users>,
    session: Session,
    Form(credentials): Form<Credentials>,
) -> Result<Response, SessionError> {
    let Some(user) = users
        .verify(&credentials.username, credentials.password)
        .await
    else {
        let pages_seen = session.get("pages_seen")?.unwrap_or(0);
        let notice = Notice::Refused {
            username: &credentials.username,
        };
        return Ok((StatusCode::UNAUTHORIZED, show(&session, pages_seen, notice)).into_response());
    };
    // The session gets a new token, and the old one is dead. The values in the session stay.
    session.login(user)?;
    Ok(Redirect::to("/").into_response())
}

async fn logout(session: Session) -> Result<Redirect, SessionError> {
    session.logout()?;
    Ok(Redirect::to("/"))
}

/// Only reads the session, so a visitor without a session gets none here.
async fn whoami(session: Session) -> Result<Json<Value>, SessionError> {
    Ok(Json(json!({
        "user": session.user(),
        "pages_seen": session.get::<u32>("pages_seen")?.unwrap_or(0),
        "session": session.id(),
    })))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], page::STYLE)
}

fn show(session: &Session, pages_seen: u32, notice: Notice<'_>) -> Response {
    let html = match session.user() {
        Some(user) => page::signed_in(&user, pages_seen, session.id()),
        None => page::sign_in(pages_seen, notice),
    };
    // The page is for one visitor. After a logout the back button must not show it again.
    ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

async fn with_security_headers(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; \
                 base-uri 'none'; frame-ancestors 'none'",
            ),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        // Not `no-referrer`: with it, the forms of this site would send `Origin: null`.
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    response.headers_mut().extend(HeaderMap::from_iter(HEADERS));
    response
}

/// Resolves on ctrl-c, and on the SIGTERM of a service manager or `docker stop`.
async fn shutdown_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return; // without the signal a clean stop is impossible: stop now, before writes can be lost
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    {
        let _ = tokio::signal::ctrl_c().await;
    }
}
