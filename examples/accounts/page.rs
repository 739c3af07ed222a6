//! The pages: the data of their templates, and their headers.

use std::time::{Duration, SystemTime};

use askama::Template;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use tower_keycard::middleware::Failure;
use tower_keycard::session::Flash;
use tower_keycard::{SafeNext, Session, SessionError, SessionId};

/// The frame around the content of every page.
#[derive(Default)]
pub(crate) struct Frame {
    user: Option<String>,
    flashes: Vec<Flash>,
}

impl Frame {
    /// The frame for this session. It takes the flash messages, so call it only for a page that is shown.
    pub(crate) fn of(session: &Session) -> Result<Self, SessionError> {
        Ok(Self {
            user: session.user(),
            flashes: session.take_flashes()?,
        })
    }
}

#[derive(Template)]
#[template(path = "login.html", config = "examples/accounts/askama.toml")]
pub(crate) struct LoginPage<'a> {
    pub(crate) frame: Frame,
    pub(crate) name: &'a str,
    pub(crate) next: &'a SafeNext,
    pub(crate) error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "sign_up.html", config = "examples/accounts/askama.toml")]
pub(crate) struct SignUpPage<'a> {
    pub(crate) frame: Frame,
    pub(crate) name: &'a str,
    pub(crate) error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "devices.html", config = "examples/accounts/askama.toml")]
pub(crate) struct DevicesPage {
    pub(crate) frame: Frame,
    pub(crate) devices: Vec<Device>,
}

pub(crate) struct Device {
    pub(crate) id: SessionId,
    pub(crate) name: String,
    pub(crate) current: bool,
    pub(crate) remembered: bool,
    pub(crate) last_seen: String,
    pub(crate) logged_in: String,
}

#[derive(Template)]
#[template(path = "password.html", config = "examples/accounts/askama.toml")]
pub(crate) struct PasswordPage<'a> {
    pub(crate) frame: Frame,
    pub(crate) error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "confirm.html", config = "examples/accounts/askama.toml")]
pub(crate) struct ConfirmPage<'a> {
    pub(crate) frame: Frame,
    pub(crate) next: &'a SafeNext,
    pub(crate) error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "log.html", config = "examples/accounts/askama.toml")]
pub(crate) struct LogPage {
    pub(crate) frame: Frame,
    pub(crate) rows: Vec<LogRow>,
}

pub(crate) struct LogRow {
    pub(crate) text: &'static str,
    pub(crate) alarming: bool,
    pub(crate) device: String,
    pub(crate) when: String,
}

#[derive(Template)]
#[template(path = "failure.html", config = "examples/accounts/askama.toml")]
struct FailurePage {
    frame: Frame,
    text: &'static str,
}

/// Renders a page. It is for one visitor, so it is not cached: after a logout the back button must not show it again.
pub(crate) fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The page for a visitor whose session could not be stored.
pub(crate) fn failure(failure: Failure) -> Response {
    let text = match failure {
        Failure::Interrupted => "You logged in or out in another tab meanwhile. Please try again.",
        Failure::Ambiguous => "Your browser sent the cookies of two logins. Please log in again.",
        Failure::Revoked => {
            "All your devices were just logged out. Please try again in a few seconds."
        }
        _ => "We cannot reach your login at the moment. Please try again.",
    };
    let frame = Frame::default();
    (failure.status(), render(&FailurePage { frame, text })).into_response()
}

/// How long ago something was, as text.
pub(crate) fn ago(time: SystemTime) -> String {
    let seconds = time.elapsed().unwrap_or(Duration::ZERO).as_secs();
    let count = |number: u64, unit: &str| match number {
        1 => format!("1 {unit} ago"),
        _ => format!("{number} {unit}s ago"),
    };
    match seconds {
        0..60 => "just now".to_owned(),
        60..3_600 => count(seconds / 60, "minute"),
        3_600..86_400 => count(seconds / 3_600, "hour"),
        _ => count(seconds / 86_400, "day"),
    }
}

/// Served at its own address, so that the content security policy does not have to allow inline styles.
pub(crate) async fn style() -> impl IntoResponse {
    let css = include_str!("style.css");
    ([(header::CONTENT_TYPE, "text/css")], css)
}

pub(crate) async fn with_security_headers(mut response: Response) -> Response {
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
