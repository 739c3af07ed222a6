//! Flash messages: what the page after a redirect is to tell, once.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::changes::{FLASHES, Update};
use crate::error::SessionError;
use crate::event;
use crate::session::Session;

/// How many messages wait for a page at most. Of more, the oldest are dropped: a client that never opens a page fills no
/// session.
const MOST: usize = 32;

/// How a message is meant: for choosing those to show, and the colour they are shown in.
///
/// The levels of [Django's messages](https://docs.djangoproject.com/en/5.2/ref/contrib/messages/#message-levels).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FlashLevel {
    /// For developers, to be left out in production.
    Debug,
    /// For the user to know.
    Info,
    /// It was done.
    Success,
    /// It was done, or not, and something is to be looked at.
    Warning,
    /// It was not done.
    Error,
}

impl FlashLevel {
    /// The level's name in lower case, fit for a class in a style sheet: `success`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for FlashLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message for the next page that asks: text, or whatever the application made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flash<T = String> {
    /// How it is meant.
    pub level: FlashLevel,
    /// What it says.
    pub content: T,
}

/// # Messages for the next page
impl<M> Session<M> {
    /// Leaves a message for the next page that [takes](Session::take_flashes) it: mostly the one that this response
    /// redirects to. `content` is text, or anything that serde can write; it is shown to this visitor only.
    ///
    /// ```
    /// use tower_keycard::{FlashLevel, Session, SessionError};
    ///
    /// async fn change_password(session: Session) -> Result<(), SessionError> {
    ///     // …
    ///     session.flash(FlashLevel::Success, "Your password was changed.")
    /// }
    /// ```
    ///
    /// It is a write: a visitor without a session gets one. A message outlives a login, also one as another user in the same
    /// request; what was left for the user before is dropped then. After a logout it goes to the fresh session, so flash
    /// *after* `logout`. A session keeps 32 messages at most, of which the oldest make room.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Session::insert).
    pub fn flash(&self, level: FlashLevel, content: impl Serialize) -> Result<(), SessionError> {
        let message = encode(&(level, content))?;
        self.revise(FLASHES, Arc::new(Leave(message)), |leave, present| {
            Ok(((), leave.run(FLASHES, present)?))
        })
    }

    /// The messages that wait, oldest first; they are shown once. Where there are none, nothing is written.
    ///
    /// They are gone when the response is stored; after a 5xx they still wait. Pages that are rendered at the same time may
    /// show the same message; one that comes in meanwhile is kept for the next. Messages whose content is no text, because
    /// [`take_flashes_as`](Session::take_flashes_as) was meant, are dropped, and told in the log.
    ///
    /// # Errors
    ///
    /// The response has begun.
    pub fn take_flashes(&self) -> Result<Vec<Flash>, SessionError> {
        self.take_flashes_as()
    }

    /// As [`take_flashes`](Session::take_flashes), of messages with a content of the application's own type.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use tower_keycard::{Flash, FlashLevel, Session, SessionError};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// enum Notice {
    ///     Saved { title: String },
    ///     Undo { link: String },
    /// }
    ///
    /// async fn save(session: Session) -> Result<(), SessionError> {
    ///     let title = "Q3".to_owned();
    ///     session.flash(FlashLevel::Success, Notice::Saved { title })
    /// }
    ///
    /// async fn page(session: Session) -> Result<(), SessionError> {
    ///     let notices: Vec<Flash<Notice>> = session.take_flashes_as()?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The response has begun.
    pub fn take_flashes_as<T: DeserializeOwned>(&self) -> Result<Vec<Flash<T>>, SessionError> {
        let Some(waiting) = self.reserved(FLASHES) else {
            return Ok(Vec::new());
        };
        let taken = messages(Some(&waiting));
        self.revise(FLASHES, Arc::new(Take(taken.clone())), |take, present| {
            Ok(((), take.run(FLASHES, present)?))
        })?;
        let flashes = taken.iter().filter_map(|message| {
            let Ok((level, content)) = serde_json::from_str(message) else {
                event::undecodable_flash();
                return None;
            };
            Some(Flash { level, content })
        });
        Ok(flashes.collect())
    }
}

/// Adds a message, which is in its JSON form.
struct Leave(String);

impl Update for Leave {
    fn run(&self, _: &str, present: Option<&str>) -> Result<Option<String>, SessionError> {
        let mut messages = messages(present);
        messages.push(self.0.clone());
        let surplus = messages.len().saturating_sub(MOST);
        Ok(Some(list(&messages[surplus..])))
    }
}

/// Removes the messages that were shown, and no others: on a newer record there may be more of them, or fewer.
struct Take(Vec<String>);

impl Update for Take {
    fn run(&self, _: &str, present: Option<&str>) -> Result<Option<String>, SessionError> {
        let mut messages = messages(present);
        for shown in &self.0 {
            if let Some(place) = messages.iter().position(|message| message == shown) {
                messages.remove(place);
            }
        }
        Ok((!messages.is_empty()).then(|| list(&messages)))
    }
}

/// The messages of the list in the session, each in its JSON form. What is no list holds none.
fn messages(json: Option<&str>) -> Vec<String> {
    let raw: Vec<&RawValue> = json
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    raw.into_iter().map(|raw| raw.get().to_owned()).collect()
}

fn list(messages: &[String]) -> String {
    format!("[{}]", messages.join(","))
}

fn encode(message: &impl Serialize) -> Result<String, SessionError> {
    serde_json::to_string(message).map_err(|source| SessionError::Encode {
        key: FLASHES.to_owned(),
        source: Arc::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(update: &impl Update, present: &str) -> Option<String> {
        update.run(FLASHES, Some(present)).unwrap()
    }

    #[test]
    fn a_message_that_came_meanwhile_is_not_taken_with_the_others() {
        let take = Take(vec!["1".into(), "2".into()]);
        assert_eq!(run(&take, "[1,2,3]").as_deref(), Some("[3]"));
        assert_eq!(run(&take, "[2]"), None);
        assert_eq!(run(&take, "[1,1,2]").as_deref(), Some("[1]"));
        assert_eq!(take.run(FLASHES, None).unwrap(), None);
    }

    #[test]
    fn the_oldest_messages_make_room() {
        let full: Vec<_> = (0..MOST).map(|number| number.to_string()).collect();
        let after = run(&Leave("\"new\"".into()), &list(&full)).unwrap();
        let after = messages(Some(&after));
        assert_eq!(after.len(), MOST);
        assert_eq!((&*after[0], &*after[MOST - 1]), ("1", "\"new\""));
    }

    #[test]
    fn what_is_no_list_holds_no_messages() {
        assert_eq!(
            run(&Leave("1".into()), r#"{"a":1}"#).as_deref(),
            Some("[1]")
        );
        assert_eq!(run(&Take(Vec::new()), "7"), None);
    }

    #[test]
    fn a_level_is_written_by_its_name() {
        for (level, name) in [
            (FlashLevel::Debug, "debug"),
            (FlashLevel::Info, "info"),
            (FlashLevel::Success, "success"),
            (FlashLevel::Warning, "warning"),
            (FlashLevel::Error, "error"),
        ] {
            assert_eq!(level.to_string(), name);
            assert_eq!(serde_json::to_value(level).unwrap(), name);
        }
        assert!(FlashLevel::Debug < FlashLevel::Error);
    }
}
