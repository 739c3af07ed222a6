//! A login page one can try: passwords, sessions in memory or in Redis, protection from cross-site
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

use tower_keycard::{AnyStore, MemoryStore, Session, SessionError, SessionLayer};

use self::page::Notice;
use self::users::Users;

/// A login page on sessions of `tower-keycard`.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one
    #[arg(
        long,
        env = "KEYCARD_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:3000"
    )]
    listen: String,

    /// Where sessions are kept: `memory`, or the URL of a Redis: redis://[user:password@]host[:port][/db]
    #[arg(
        long,
        env = "KEYCARD_STORE",
        value_name = "STORE",
        default_value = "memory",
        hide_env_values = true // the URL may hold a password
    )]
    store: String,

    /// A session that is not used for so long ends
    #[arg(long, env = "KEYCARD_IDLE", value_name = "TIME", default_value = "30m", value_parser = humantime::parse_duration)]
    idle: Duration,

    /// A session ends so long after the login, used or not
    #[arg(long, env = "KEYCARD_ABSOLUTE", value_name = "TIME", default_value = "8h", value_parser = humantime::parse_duration)]
    absolute: Duration,

    /// Every request counts as use of the session, also one that does not ask for it
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
        .idle(options.idle)
        .absolute(options.absolute)
        .save_every_request(options.save_every_request)
        .build()?;

    let listener = TcpListener::bind(&options.listen).await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "listening on http://{address}")?;

    axum::serve(listener, app(sessions.clone()))
        .with_graceful_shutdown(asked_to_stop())
        .await?;

    // A client that hung up does not take its write with it: let the last ones reach the store.
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

    // The layer added last is the outermost one. A request from another site must not get as far as
    // `login`, so the check of its origin stands outside the sessions.
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
        .layer(map_response(secured))
}

async fn home(session: Session) -> Result<Response, SessionError> {
    let visits = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)?;
    Ok(show(&session, visits, Notice::None))
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
        let visits = session.get("visits")?.unwrap_or(0);
        let notice = Notice::Refused {
            username: &credentials.username,
        };
        return Ok((StatusCode::UNAUTHORIZED, show(&session, visits, notice)).into_response());
    };
    // A new card, the old one is dead; what the visitor had in the session so far stays in it.
    session.login(user)?;
    Ok(Redirect::to("/").into_response())
}

async fn logout(session: Session) -> Result<Redirect, SessionError> {
    session.logout()?;
    Ok(Redirect::to("/"))
}

/// Only reads: a visitor without a session gets none here.
async fn whoami(session: Session) -> Result<Json<Value>, SessionError> {
    Ok(Json(json!({
        "user": session.user(),
        "visits": session.get::<u32>("visits")?.unwrap_or(0),
        "session": session.id(),
    })))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], page::STYLE)
}

fn show(session: &Session, visits: u32, notice: Notice<'_>) -> Response {
    let html = match session.user() {
        Some(user) => page::signed_in(&user, visits, session.id()),
        None => page::sign_in(visits, notice),
    };
    // The page belongs to one visitor: after a logout the back button must not show it again.
    ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response()
}

async fn secured(mut response: Response) -> Response {
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
        // Not `no-referrer`: it turns the `Origin` of our own forms into `null`.
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
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return; // no way to stop cleanly later: better to stop now than to lose writes then
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
