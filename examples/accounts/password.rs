//! Changing the password, and confirming it before sensitive actions.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use tower_keycard::{FlashLevel, SafeNext, SessionError};

use crate::accounts::Accounts;
use crate::login::NextQuery;
use crate::member::Member;
use crate::page::{ConfirmPage, Frame, PasswordPage, render};

#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    password: String,
    #[serde(default)]
    next: SafeNext,
}

pub(crate) async fn confirm_page(
    member: Member,
    Query(query): Query<NextQuery>,
) -> Result<Response, SessionError> {
    Ok(render(&ConfirmPage {
        frame: Frame::of(&member.session)?,
        next: &query.next,
        error: None,
    }))
}

pub(crate) async fn confirm(
    State(accounts): State<Accounts>,
    member: Member,
    Form(form): Form<PasswordForm>,
) -> Result<Response, SessionError> {
    if accounts.verify(&member.name, form.password).await.is_none() {
        let page = ConfirmPage {
            frame: Frame::of(&member.session)?,
            next: &form.next,
            error: Some("That is not your password."),
        };
        return Ok((StatusCode::FORBIDDEN, render(&page)).into_response());
    }
    member.session.reauthenticate()?;
    Ok(Redirect::to(form.next.as_str()).into_response())
}

pub(crate) async fn page(member: Member) -> Result<Response, SessionError> {
    Ok(render(&PasswordPage {
        frame: Frame::of(&member.session)?,
        error: None,
    }))
}

pub(crate) async fn change(
    State(accounts): State<Accounts>,
    member: Member,
    Form(form): Form<PasswordForm>,
) -> Result<Response, SessionError> {
    let changed = accounts.change(&member.name, &member.hash, form.password);
    let hash = match changed.await {
        Ok(hash) => hash,
        Err(refusal) => {
            let page = PasswordPage {
                frame: Frame::of(&member.session)?,
                error: Some(refusal.text()),
            };
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response());
        }
    };
    // Logs out all other devices, also those of a thief who knew the old password.
    member.session.credential_changed(hash).await?;
    let text = "Your password is changed. All other devices are logged out.";
    member.session.flash(FlashLevel::Success, text)?;
    Ok(Redirect::to("/").into_response())
}
