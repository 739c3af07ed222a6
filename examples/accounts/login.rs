//! Sign-up, login and logout.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use tower_keycard::{FlashLevel, Login, SafeNext, Session, SessionError};

use crate::accounts::Accounts;
use crate::page::{Frame, LoginPage, SignUpPage, render};

#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
    /// A browser sends a check box only if it is checked.
    remember: Option<String>,
    /// The page that the visitor wanted before the redirect to the login page.
    #[serde(default)]
    next: SafeNext,
}

#[derive(Deserialize)]
pub(crate) struct NextQuery {
    #[serde(default)]
    pub(crate) next: SafeNext,
}

pub(crate) async fn page(
    session: Session,
    Query(query): Query<NextQuery>,
) -> Result<Response, SessionError> {
    Ok(render(&LoginPage {
        frame: Frame::of(&session)?,
        name: "",
        next: &query.next,
        error: None,
    }))
}

pub(crate) async fn log_in(
    State(accounts): State<Accounts>,
    session: Session,
    Form(form): Form<Credentials>,
) -> Result<Response, SessionError> {
    let Some(hash) = accounts.verify(&form.name, form.password).await else {
        let page = LoginPage {
            frame: Frame::of(&session)?,
            name: &form.name,
            next: &form.next,
            error: Some("That name and password do not fit together."),
        };
        return Ok((StatusCode::UNAUTHORIZED, render(&page)).into_response());
    };
    let login = Login::new(&form.name)
        .stamp(hash)
        .remember(form.remember.is_some());
    session.login(login)?;
    session.flash(FlashLevel::Success, format!("Welcome back, {}.", form.name))?;
    Ok(Redirect::to(form.next.as_str()).into_response())
}

pub(crate) async fn sign_up_page(session: Session) -> Result<Response, SessionError> {
    Ok(render(&SignUpPage {
        frame: Frame::of(&session)?,
        name: "",
        error: None,
    }))
}

pub(crate) async fn sign_up(
    State(accounts): State<Accounts>,
    session: Session,
    Form(form): Form<Credentials>,
) -> Result<Response, SessionError> {
    match accounts.create(&form.name, form.password).await {
        Ok(hash) => {
            session.login(Login::new(&form.name).stamp(hash).remember(false))?;
            session.flash(FlashLevel::Success, format!("Welcome, {}.", form.name))?;
            Ok(Redirect::to("/").into_response())
        }
        Err(refusal) => {
            let page = SignUpPage {
                frame: Frame::of(&session)?,
                name: &form.name,
                error: Some(refusal.text()),
            };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response())
        }
    }
}

pub(crate) async fn log_out(session: Session) -> Result<Redirect, SessionError> {
    session.logout()?;
    // After the logout, so that the message is in the new session.
    session.flash(FlashLevel::Info, "You are logged out.")?;
    Ok(Redirect::to("/login"))
}
