//! A site with accounts, as one knows them: sign up, log in, see where you are logged in and end that, change the password,
//! read what happened to the account.
//!
//! ```text
//! cargo run --example accounts
//! cargo run --example accounts --features redis -- --store redis://127.0.0.1/
//! ```
//!
//! Then open <http://127.0.0.1:3000> in two browsers. `--help` lists the options.
//!
//! | file | what |
//! |---|---|
//! | `main.rs` | the sessions' configuration, the routes, what stands around them |
//! | `member.rs` | who is logged in, as an argument of handlers |
//! | `login.rs` | sign up, log in with "remember me", log out |
//! | `devices.rs` | where you are logged in, and ending that |
//! | `password.rs` | change the password, and confirm it before what is sensitive |
//! | `security_log.rs` | what happened to the account |
//! | `client.rs` | what a device is called, and recognised by |
//! | `accounts.rs` | names and password hashes: your application's database |
//! | `page.rs`, `templates/` | the pages |
//!
//! What a real site has besides: a limit on how often a password is tried, by name and by address, in front of `/login`,
//! `/sign-up` and `/confirm`. Here a flood of tries waits in line for the hashing, and so do people.

mod accounts;
mod client;
mod devices;
mod login;
mod member;
mod options;
mod page;
mod password;
mod security_log;

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use clap::Parser;
use tokio::net::TcpListener;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use tower_keycard::monitor::Monitor;
use tower_keycard::{
    AnyStore, ConfigError, LoginRedirectLayer, MemoryStore, RequireFreshLayer, RequireLoginLayer,
    SessionLayer,
};

use self::accounts::Accounts;
use self::options::Options;
use self::security_log::SecurityLog;

/// What handlers work with, beside the session.
#[derive(Clone, FromRef)]
struct Site {
    accounts: Accounts,
    log: SecurityLog,
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
    let log = SecurityLog::default();
    let sessions = SessionLayer::builder(open(&options.store).await?)
        .idle(options.idle)
        .absolute(options.absolute)
        .clear_site_data(true)
        .client(client::recognise)
        // Whose session suddenly comes from elsewhere has to type the password before anything sensitive.
        .monitor(Monitor::default())
        .observer(log.clone())
        .failure_response(page::failure)
        .build()?;
    let site = Site {
        accounts: Accounts::default(),
        log,
    };

    let listener = TcpListener::bind(&options.listen).await?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "listening on http://{address}")?;

    let app = app(site, options.fresh)?.layer(sessions.clone());
    let app = protected(app).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(options::asked_to_stop())
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

/// The routes, by whom they are for.
fn app(site: Site, fresh: Duration) -> Result<Router, ConfigError> {
    let everybody = Router::new()
        .route("/sign-up", get(login::sign_up_page).post(login::sign_up))
        .route("/login", get(login::page).post(login::log_in));
    let members = Router::new()
        .route("/", get(devices::page))
        .route(
            "/confirm",
            get(password::confirm_page).post(password::confirm),
        )
        .route("/log", get(security_log::page))
        .route("/logout", post(login::log_out))
        .route_layer(RequireLoginLayer::new());
    // What a thief of the session would do first asks for the password again: to take the account, or to keep its owner out.
    let sensitive = Router::new()
        .route("/devices/end", post(devices::end))
        .route("/devices/end-others", post(devices::end_others))
        .route("/password", get(password::page).post(password::change))
        .route_layer(RequireFreshLayer::new(fresh));
    Ok(everybody
        .merge(members)
        .merge(sensitive)
        .layer(LoginRedirectLayer::new("/login")?.reauthenticate_at("/confirm")?)
        .with_state(site)
        .layer(DefaultBodyLimit::max(4096)))
}

/// What stands outside of the sessions, and what needs none.
fn protected(app: Router) -> Router {
    let csrf = CsrfLayer::new().with_rejection_response(|_: ProtectionError| {
        let why = "This request came from another site.\n";
        (StatusCode::FORBIDDEN, why).into_response()
    });
    app.route("/style.css", get(page::style))
        .route("/health", get(async || "ok\n"))
        .layer(csrf)
        .layer(map_response(page::secured))
}
