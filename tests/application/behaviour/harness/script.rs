//! The application under test: every path is a script, and each of its segments a command.
//!
//! `/insert:a:1/get:a` writes a value, reads it, and answers with what it read. The session is asked for by the first
//! command that needs it, so `/untouched` never does. An error of the session ends the script and is the response; after
//! `try:` it is a word of the answer instead.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{RequestPartsExt, Router};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use tower_keycard::session::Expiry;
use tower_keycard::{Clock, Key, Login, Session, SessionError};

use super::gate::{Gates, Signal};

/// What the application and the test have in common.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) clock: Clock,
    pub(crate) gates: Gates,
    /// Given whenever the server gives up a request whose client is gone.
    pub(crate) gone: Signal,
}

/// The application, without a session layer.
pub(crate) fn application(stage: Stage) -> Router {
    Router::new().fallback(play).with_state(stage)
}

/// Reports requests to the stage that are dropped before they have a response.
pub(crate) async fn watch(State(stage): State<Stage>, request: Request, next: Next) -> Response {
    struct Watch(Option<Signal>);
    impl Drop for Watch {
        fn drop(&mut self) {
            if let Some(gone) = self.0.take() {
                gone.give();
            }
        }
    }
    // The service is dropped before the watch, so a test that gets the signal finds nothing running.
    let mut watch = Watch(Some(stage.gone));
    let response = next.run(request).await;
    watch.0 = None;
    response
}

struct Play {
    stage: Stage,
    parts: Parts,
    session: Option<Session>,
    response: Response,
    words: Vec<String>,
}

async fn play(State(stage): State<Stage>, request: Request) -> Result<Response, Response> {
    let (parts, _) = request.into_parts();
    let script = Arc::<str>::from(parts.uri.path());
    let response = Response::default();
    let mut play = Play {
        stage,
        parts,
        session: None,
        response,
        words: Vec::new(),
    };
    for command in script.split('/').filter(|command| !command.is_empty()) {
        play.run(command).await?;
    }
    *play.response.body_mut() = play.words.join(" ").into();
    Ok(play.response)
}

impl Play {
    async fn run(&mut self, command: &str) -> Result<(), Response> {
        let (name, rest) = command.split_once(':').unwrap_or((command, ""));
        match name {
            "untouched" => {}
            "presented" => {
                let id = Session::presented(&self.parts.extensions);
                self.say(id.map_or("-".to_owned(), |id| id.to_string()));
            }
            "status" => *self.response.status_mut() = rest.parse::<StatusCode>().unwrap(),
            "see" => {
                *self.response.status_mut() = StatusCode::SEE_OTHER;
                self.header("location", &format!("/{rest}"));
            }
            "header" => {
                let (name, value) = rest.split_once(':').unwrap();
                self.header(name, value);
            }
            "wait" => self.stage.gates.named(rest).pass().await,
            "panic" => panic!("as the test wants"),
            "option" => {
                let session: Option<Session> = self
                    .parts
                    .extract()
                    .await
                    .map_err(IntoResponse::into_response)?;
                self.say(if session.is_some() { "some" } else { "none" }.to_owned());
            }
            "try" => {
                let (name, rest) = rest.split_once(':').unwrap_or((rest, ""));
                let word = match self.on_session(name, rest).await? {
                    Ok(()) => "ok".to_owned(),
                    Err(error) => variant(&error),
                };
                self.say(word);
            }
            _ => self
                .on_session(name, rest)
                .await?
                .map_err(IntoResponse::into_response)?,
        }
        Ok(())
    }

    async fn on_session(
        &mut self,
        name: &str,
        rest: &str,
    ) -> Result<Result<(), SessionError>, Response> {
        let session = match &self.session {
            Some(session) => session.clone(),
            None => self
                .parts
                .extract()
                .await
                .map_err(IntoResponse::into_response)?,
        };
        self.session = Some(session.clone());
        let mut words = Vec::new();
        let done = command(&session, &self.stage.clock, name, rest, &mut words).await;
        self.words.append(&mut words);
        Ok(done)
    }

    fn say(&mut self, word: String) {
        self.words.push(word);
    }

    fn header(&mut self, name: &str, value: &str) {
        let name = HeaderName::try_from(name).unwrap();
        self.response
            .headers_mut()
            .append(name, HeaderValue::try_from(value).unwrap());
    }
}

/// Carries out one command on the session; what it reads becomes words of the answer.
pub(crate) async fn command<M>(
    session: &Session<M>,
    clock: &Clock,
    name: &str,
    rest: &str,
    words: &mut Vec<String>,
) -> Result<(), SessionError> {
    let read = |value: Option<serde_json::Value>| match value {
        None => "-".to_owned(),
        Some(serde_json::Value::String(text)) => text,
        Some(value) => value.to_string(),
    };
    match name {
        "read" => {}
        "get" => words.push(read(session.get(rest)?)),
        "take" => words.push(read(session.take(rest)?)),
        "insert" => {
            let (key, value) = rest.split_once(':').unwrap();
            session.insert(key, value)?;
        }
        "insert-nan" => session.insert(rest, f64::NAN)?,
        "insert-some-none" => session.insert(rest, Some(None::<u32>))?,
        "insert-none" => session.insert(rest, None::<u32>)?,
        "number" => words.push(session.get(rest)?.map_or("-".to_owned(), word)),
        "number-if-any" => {
            let key = Key::from_string(rest.to_owned()).none_on_error();
            words.push(session.get(key)?.map_or("-".to_owned(), word));
        }
        "update-if-any" => {
            let key = Key::from_string(rest.to_owned()).none_on_error();
            let count = session.update(key, |count: Option<u32>| count.unwrap_or(0) + 1)?;
            words.push(count.to_string());
        }
        "update" => {
            let count = session.update(rest, |count: Option<u32>| count.unwrap_or(0) + 1)?;
            words.push(count.to_string());
        }
        "remove" => words.push(session.remove(rest)?.to_string()),
        "clear" => session.clear()?,
        "keys" => words.push(session.keys().join(",")),
        "user" => words.push(session.user().unwrap_or("-".to_owned())),
        "exists" => words.push(session.exists().to_string()),
        "left" => {
            let end = session.expires_at().map(millis);
            let left = end.map(|end| end - u128::from(clock.now().as_millis()));
            words.push(left.map_or("-".to_owned(), |left| (left / 1_000).to_string()));
        }
        "withheld" => words.push(session.is_withheld().to_string()),
        "ambiguous" => words.push(session.is_ambiguous().to_string()),
        "csrf" => words.push(session.csrf_token()?.to_string()),
        "verify" => session.verify_csrf(rest)?,
        "id" => words.push(session.id().map_or("-".to_owned(), |id| id.to_string())),
        "since" => {
            let at = session.authenticated_at().map(millis);
            words.push(at.map_or("-".to_owned(), |at| at.to_string()));
        }
        "login-time" => {
            let at = session.logged_in_at().map(millis);
            words.push(at.map_or("-".to_owned(), |at| at.to_string()));
        }
        "login" => session.login(rest)?,
        "login-remembered" => session.login(Login::new(rest).remember(true))?,
        "login-unremembered" => session.login(Login::new(rest).remember(false))?,
        "login-keeping" => {
            let (user, keys) = rest.split_once(':').unwrap();
            session.login_keeping(user, &keys.split(',').collect::<Vec<_>>())?;
        }
        "reauthenticate" => session.reauthenticate()?,
        "logout" => session.logout()?,
        "rotate" => session.rotate_token()?,
        "expiry" => {
            let (kind, millis) = rest.split_once(':').unwrap_or((rest, "0"));
            let time = Duration::from_millis(millis.parse().unwrap());
            session.set_expiry(match kind {
                "idle" => Expiry::Idle(time),
                "in" => Expiry::At(clock.now().plus(time)),
                "past" => Expiry::At(clock.now()),
                "browser" => Expiry::BrowserClose,
                _ => Expiry::Default,
            })?;
        }
        "save" => session.save().await?,
        "unpolled-save" => {
            let unpolled = begin(session.save()).await;
            session.reload().await?;
            session.save().await?;
            unpolled.await?;
        }
        "unpolled-reload" => {
            let unpolled = begin(session.reload()).await;
            session.save().await?;
            session.reload().await?;
            unpolled.await?;
        }
        "reload" => session.reload().await?,
        unknown => panic!("no such command: {unknown}"),
    }
    Ok(())
}

fn word(number: u32) -> String {
    number.to_string()
}

/// Polls a future once, and gives it back if it is not done by then. The caller does not poll it while others run.
async fn begin<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let mut future = Box::pin(future);
    let mut done = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    poll_fn(
        move |context| match std::mem::replace(&mut done, Poll::Pending) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => future.as_mut().poll(context),
        },
    )
}

fn millis(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis()
}

/// The name of an error's variant.
pub(crate) fn variant(error: &SessionError) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(']).next().unwrap_or_default().to_owned()
}
