//! Flash messages: shown once, by the page after a redirect.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Session;
use super::json;
use super::key::KeyText;
use crate::error::SessionError;
use crate::event::diagnostics;
use crate::lifecycle::changes::{FLASHES, Update};

/// How many messages a session keeps at most. Then the oldest are dropped, so that a client that never opens a page cannot fill
/// the session.
const MAX_MESSAGES: usize = 32;

/// The level of a flash message: it decides whether a page shows the message, and in which colour.
///
/// These are the levels of [Django's messages](https://docs.djangoproject.com/en/5.2/ref/contrib/messages/#message-levels).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FlashLevel {
    /// For developers. Do not show it in production.
    Debug,
    /// Information for the user.
    Info,
    /// The action was done.
    Success,
    /// The action was done or not, and the user has to check something.
    Warning,
    /// The action was not done.
    Error,
}

impl FlashLevel {
    /// The level's name in lower case, such as `success`. You can use it as a CSS class.
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

/// A message for the next page that takes it. The content is text, or a type of the application.
///
/// [`Session::flash`] leaves it, and [`Session::take_flashes`] or the extractor `Flashes` (feature `axum`) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flash<T = String> {
    /// The level of the message.
    pub level: FlashLevel,
    /// The content of the message.
    pub content: T,
}

/// # Flash messages
impl<M> Session<M> {
    /// Leaves a message for the next page that [takes](Session::take_flashes) it. Usually this response redirects to that page.
    ///
    /// `content` is text, or any type that serde can serialize. Only this visitor sees the message.
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
    /// A message is a write: a visitor without a session gets one. A session keeps 32 messages at most; then the oldest are
    /// dropped.
    ///
    /// Messages stay over a login. If the login is of another user, only the messages of this request stay; those for the user
    /// before are dropped. A [`logout`](Session::logout) drops all messages, so leave a message *after* the logout. It goes to
    /// the new session.
    ///
    /// # Errors
    ///
    /// The errors of [`insert`](Session::insert).
    #[doc(alias = "messages")]
    #[doc(alias = "add_message")]
    pub fn flash(&self, level: FlashLevel, content: impl Serialize) -> Result<(), SessionError> {
        let message = json::encode(FLASHES, &(level, content))?;
        let add = Arc::new(AddMessage(message));
        self.queue_update(&KeyText::reserved(FLASHES), add, |add, present| {
            Ok(((), add.run(FLASHES, present)?))
        })
    }

    /// Takes the messages that were left, the oldest first, so that each is shown once. If there are none, nothing is written.
    ///
    /// ```
    /// use tower_keycard::{Session, SessionError};
    ///
    /// async fn page(session: Session) -> Result<String, SessionError> {
    ///     let mut text = String::new();
    ///     for flash in session.take_flashes()? {
    ///         text += &format!("[{}] {}\n", flash.level, flash.content); // escape the content in HTML
    ///     }
    ///     Ok(text)
    /// }
    /// ```
    ///
    /// The messages are removed when the session is committed. After a 5xx response they are still there. Pages that are
    /// rendered at the same time may show the same message. A message that another request leaves meanwhile is kept for the
    /// next page. Messages whose content is not text are dropped, and logged: take those with
    /// [`take_flashes_as`](Session::take_flashes_as).
    ///
    /// # Errors
    ///
    /// [When a write is refused](Session#when-a-write-is-refused).
    #[doc(alias = "get_messages")]
    pub fn take_flashes(&self) -> Result<Vec<Flash>, SessionError> {
        self.take_flashes_as()
    }

    /// Takes the messages as [`take_flashes`](Session::take_flashes) does, with content of the application's own type.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    /// use tower_keycard::session::Flash;
    /// use tower_keycard::{FlashLevel, Session, SessionError};
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
    /// [When a write is refused](Session#when-a-write-is-refused).
    pub fn take_flashes_as<T: DeserializeOwned>(&self) -> Result<Vec<Flash<T>>, SessionError> {
        let Some(stored) = self.reserved_value(FLASHES) else {
            return Ok(Vec::new());
        };
        let taken = messages(Some(&stored));
        let remove = Arc::new(RemoveMessages(taken.clone()));
        self.queue_update(&KeyText::reserved(FLASHES), remove, |remove, present| {
            Ok(((), remove.run(FLASHES, present)?))
        })?;
        let flashes = taken.iter().filter_map(|message| {
            let Ok((level, content)) = serde_json::from_str(message) else {
                diagnostics::undecodable_flash();
                return None;
            };
            Some(Flash { level, content })
        });
        Ok(flashes.collect())
    }
}

/// Adds a message in its JSON form.
struct AddMessage(String);

impl Update for AddMessage {
    fn run(&self, _: &str, present: Option<&str>) -> Result<Option<String>, SessionError> {
        let mut messages = messages(present);
        messages.push(self.0.clone());
        let surplus = messages.len().saturating_sub(MAX_MESSAGES);
        Ok(Some(list(&messages[surplus..])))
    }
}

/// Removes the messages that were taken, and no others. A newer record may have more messages, or fewer.
struct RemoveMessages(Vec<String>);

impl Update for RemoveMessages {
    fn run(&self, _: &str, present: Option<&str>) -> Result<Option<String>, SessionError> {
        let mut messages = messages(present);
        for taken in &self.0 {
            if let Some(place) = messages.iter().position(|message| message == taken) {
                messages.remove(place);
            }
        }
        Ok((!messages.is_empty()).then(|| list(&messages)))
    }
}

/// The messages in the session's list, each in its JSON form. JSON that is not a list has no messages.
fn messages(json: Option<&str>) -> Vec<String> {
    let raw: Vec<&RawValue> = json
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default();
    raw.into_iter().map(|raw| raw.get().to_owned()).collect()
}

fn list(messages: &[String]) -> String {
    format!("[{}]", messages.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(update: &impl Update, present: &str) -> Option<String> {
        update.run(FLASHES, Some(present)).unwrap()
    }

    #[test]
    fn a_message_left_meanwhile_is_not_removed() {
        let remove = RemoveMessages(vec!["1".into(), "2".into()]);
        assert_eq!(run(&remove, "[1,2,3]").as_deref(), Some("[3]"));
        assert_eq!(run(&remove, "[2]"), None);
        assert_eq!(run(&remove, "[1,1,2]").as_deref(), Some("[1]"));
        assert_eq!(remove.run(FLASHES, None).unwrap(), None);
    }

    #[test]
    fn beyond_the_maximum_the_oldest_messages_are_dropped() {
        let full: Vec<_> = (0..MAX_MESSAGES).map(|number| number.to_string()).collect();
        let after = run(&AddMessage("\"new\"".into()), &list(&full)).unwrap();
        let after = messages(Some(&after));
        assert_eq!(after.len(), MAX_MESSAGES);
        assert_eq!((&*after[0], &*after[MAX_MESSAGES - 1]), ("1", "\"new\""));
    }

    #[test]
    fn json_that_is_not_a_list_has_no_messages() {
        assert_eq!(
            run(&AddMessage("1".into()), r#"{"a":1}"#).as_deref(),
            Some("[1]")
        );
        assert_eq!(run(&RemoveMessages(Vec::new()), "7"), None);
    }

    #[test]
    fn a_level_is_serialized_as_its_name() {
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
