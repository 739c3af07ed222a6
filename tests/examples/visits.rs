//! What Chromium does with the cookie of a site that it reaches by plain HTTP, or by a link from another site.

use std::cell::{Cell, OnceCell};
use std::net::TcpListener;
use std::thread;

use axum::extract::Form;
use axum::http::{HeaderMap, Method};
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use tower_keycard::config::SameSite;
use tower_keycard::{MemoryStore, Session, SessionConfig, SessionError, SessionLayer};

use crate::browser::Browser;
use crate::support::log::Log;

thread_local! {
    /// What the server's one thread logs.
    static LOG: OnceCell<Log> = const { OnceCell::new() };
    static WITHHELD: Cell<u32> = const { Cell::new(0) };
}

fn logged() -> usize {
    LOG.with(|log| log.get().unwrap().count("secure_cookie_dropped"))
}

/// Serves an application in a thread of its own, which ends with the test's process. Returns the port.
fn serve(application: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        LOG.with(|log| assert!(log.set(Log::start()).is_ok()));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, application).await.unwrap();
        });
    });
    port
}

/// How often this session came, and a form that comes once more.
async fn visit(method: Method, session: Session) -> Result<Html<String>, SessionError> {
    let visits = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1)?;
    Ok(Html(format!(
        r#"<!doctype html><p id="{method}-{visits}">{}</p><form method="post"><button>Again</button></form>"#,
        logged(),
    )))
}

#[test]
fn by_plain_http_chromium_drops_the_cookie_and_the_log_says_so() {
    let application = Router::new()
        .route("/", get(visit).post(visit))
        .layer(SessionLayer::new(MemoryStore::new()));
    let port = serve(application);
    let browser = Browser::start_with(&["--host-resolver-rules=MAP shop.example 127.0.0.1"]);
    // On its own machine the browser keeps the cookie, although it is Secure.
    browser.open(&format!("http://localhost:{port}/"));
    assert_eq!(browser.text("#GET-1"), "0");
    browser.click("button");
    assert_eq!(browser.text("#POST-2"), "0");
    assert_eq!(browser.cookies().len(), 1);

    browser.open(&format!("http://shop.example:{port}/"));
    assert_eq!(browser.text("#GET-1"), "0");
    browser.click("button");
    // The page was rendered before its own cookie was set.
    assert_eq!(browser.text("#POST-1"), "0");
    browser.open(&format!("http://shop.example:{port}/"));
    assert_eq!(browser.text("#GET-1"), "1");
    assert!(browser.cookies().is_empty());
}

/// A page of another site, with a link to ours.
async fn elsewhere(headers: HeaderMap) -> Html<String> {
    let host = headers["host"].to_str().unwrap();
    let here = host.replace("127.0.0.1", "localhost");
    Html(format!(
        r#"<!doctype html><a href="http://{here}/form">A shop</a>"#
    ))
}

async fn log_in(session: Session) -> Result<&'static str, SessionError> {
    session.login("ann")?;
    Ok("welcome")
}

/// A form for the user, as the documentation of `is_withheld` has it.
async fn form(session: Session) -> Result<Html<String>, SessionError> {
    if session.is_withheld() {
        WITHHELD.set(WITHHELD.get() + 1);
        let again = r#"<!doctype html><meta http-equiv="refresh" content="0">"#;
        return Ok(Html(again.to_owned()));
    }
    let (user, token) = (session.user().unwrap_or_default(), session.csrf_token()?);
    Ok(Html(format!(
        r#"<!doctype html><p id="user">{user} {}</p>
        <form method="post"><input type="hidden" name="token" value="{token}"><button>Buy</button></form>"#,
        WITHHELD.get(),
    )))
}

async fn buy(session: Session, Form(form): Form<Value>) -> Result<Json<Value>, SessionError> {
    session.verify_csrf(form["token"].as_str().unwrap_or_default())?;
    Ok(Json(Value::from("bought")))
}

#[test]
fn under_strict_a_page_that_loads_itself_has_the_session_after_a_link_from_elsewhere() {
    let config = SessionConfig::new().same_site(SameSite::Strict);
    let layer = SessionLayer::builder(MemoryStore::new()).config(config);
    let application = Router::new()
        .route("/elsewhere", get(elsewhere))
        .route("/login", get(log_in))
        .route("/form", get(form).post(buy))
        .layer(layer.build().unwrap());
    let port = serve(application);
    for (withheld, user) in [(1, ""), (2, "ann")] {
        let browser = Browser::start();
        if user == "ann" {
            browser.open(&format!("http://localhost:{port}/login"));
        }
        // To a browser `localhost` and `127.0.0.1` are different sites.
        browser.open(&format!("http://127.0.0.1:{port}/elsewhere"));
        browser.click("a");
        let seen = format!("{user} {withheld}");
        assert_eq!(browser.text("#user"), seen.trim());
        browser.click("button");
        assert_eq!(browser.text("pre"), "\"bought\"");
    }
}
