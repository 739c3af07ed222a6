//! The page "where you are logged in": lists the user's sessions, and ends them.

use axum::Form;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use tower_keycard::{FlashLevel, SessionError, SessionId};

use crate::member::Member;
use crate::page::{Device, DevicesPage, Frame, ago, render};

pub(crate) async fn page(member: Member) -> Result<Response, SessionError> {
    let sessions = member.session.sessions().await?;
    let devices = sessions.into_iter().map(|session| Device {
        id: session.id,
        name: session
            .client
            .unwrap_or_else(|| "Unknown device".to_owned()),
        current: session.current,
        remembered: session.remembered,
        last_seen: ago(session.last_seen),
        logged_in: ago(session.logged_in_at.unwrap_or(session.created)),
    });
    Ok(render(&DevicesPage {
        frame: Frame::of(&member.session)?,
        devices: devices.collect(),
    }))
}

#[derive(Deserialize)]
pub(crate) struct DeviceForm {
    session: SessionId,
}

pub(crate) async fn end(
    member: Member,
    Form(form): Form<DeviceForm>,
) -> Result<Redirect, SessionError> {
    // It ends only a session of this user, even if the form sends another id.
    let (level, text) = match member.session.end_session(form.session).await? {
        true => (FlashLevel::Success, "That device is logged out."),
        false => (FlashLevel::Info, "That device was logged out already."),
    };
    member.session.flash(level, text)?;
    Ok(Redirect::to("/"))
}

pub(crate) async fn end_others(member: Member) -> Result<Redirect, SessionError> {
    let ended = member.session.end_other_sessions().await?;
    let text = match ended {
        0 => "You were logged in nowhere else.".to_owned(),
        1 => "One other device is logged out.".to_owned(),
        _ => format!("{ended} other devices are logged out."),
    };
    member.session.flash(FlashLevel::Success, text)?;
    Ok(Redirect::to("/"))
}
