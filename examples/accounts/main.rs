//! A site with accounts: sign up, log in, see where you are logged in, log other devices out, change the password, and read
//! the security log of the account.
//!
//! ```text
//! cargo run --example accounts
//! cargo run --example accounts --features redis -- --store redis://127.0.0.1/
//! ```
//!
//! Then open <http://127.0.0.1:3000> in two browsers. `--help` lists the options.
//!
//! | file | contents |
//! |---|---|
//! | `main.rs` | the configuration of the sessions, the routes, and the layers |
//! | `member.rs` | an extractor for the logged-in user |
//! | `login.rs` | sign-up, login with "remember me", logout |
//! | `devices.rs` | the list of devices, and logging them out |
//! | `password.rs` | changing the password, and confirming it before sensitive actions |
//! | `security_log.rs` | the security log of an account |
//! | `client.rs` | the description and the fingerprint of a client |
//! | `accounts.rs` | names and password hashes, in place of your database |
//! | `page.rs`, `templates/` | the pages |
//!
//! A real site also needs a limit on how often a password can be tried, by name and by address, in front of `/login`,
//! `/sign-up` and `/confirm`. Here a flood of attempts fills the queue for hashing, and people wait behind it.

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
    SessionConfig, SessionLayer,
};

use self::accounts::Accounts;
use self::options::Options;
use self::security_log::SecurityLog;

/// The state of the handlers.
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
        .config(
            SessionConfig::new()
                .idle(options.idle)
                .absolute(options.absolute)
                .clear_site_data(true),
        )
        .client(client::identify)
        // If a session suddenly comes from another client, the password is asked for before sensitive actions.
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
    let app = with_outer_layers(app).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(options::shutdown_signal())
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

/// The routes: public ones, those for members, and sensitive ones.
fn app(site: Site, fresh: Duration) -> Result<Router, ConfigError> {
    let public = Router::new()
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
    // A thief of the session could take over the account by these routes, or lock its owner out. So they need the password.
    let sensitive = Router::new()
        .route("/devices/end", post(devices::end))
        .route("/devices/end-others", post(devices::end_others))
        .route("/password", get(password::page).post(password::change))
        .route_layer(RequireFreshLayer::new(fresh));
    Ok(public
        .merge(members)
        .merge(sensitive)
        .layer(LoginRedirectLayer::new("/login")?.reauthenticate_at("/confirm")?)
        .with_state(site)
        .layer(DefaultBodyLimit::max(4096)))
}

/// Adds the layers outside of the sessions, and the routes that need no session.
fn with_outer_layers(app: Router) -> Router {
    let csrf = CsrfLayer::new().with_rejection_response(|_: ProtectionError| {
        let text = "This request came from another site.\n";
        (StatusCode::FORBIDDEN, text).into_response()
    });
    app.route("/style.css", get(page::style))
        .route("/health", get(async || "ok\n"))
        .layer(csrf)
        .layer(map_response(page::with_security_headers))
}
