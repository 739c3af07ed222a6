//! The page in its two states: signed in or not. All text from outside goes through [`escape`].

use std::fmt::{Display, Write};

use tower_keycard::SessionId;

/// Served at `/style.css`, so that the content security policy does not have to allow inline styles.
pub(crate) const STYLE: &str = include_str!("style.css");

/// A notice above the usual content of the page.
pub(crate) enum Notice<'a> {
    None,
    Refused { username: &'a str },
}

pub(crate) fn sign_in(pages_seen: u32, notice: Notice<'_>) -> String {
    let (alert, username, invalid) = match notice {
        Notice::None => ("", "", ""),
        Notice::Refused { username } => (
            r#"<p id="alert" class="alert" role="alert">That name and password do not fit together.</p>"#,
            username,
            r#" aria-invalid="true" aria-describedby="alert""#,
        ),
    };
    let content = format!(
        r#"<h1>Sign in</h1>
    {alert}
    <form method="post" action="/login">
      <label for="username">Name</label>
      <input id="username" name="username" value="{username}" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus{invalid}>
      <label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password" required{invalid}>
      <button type="submit">Sign in</button>
    </form>
    <p class="hint">Try <kbd>alice</kbd> with <kbd>wonderland</kbd>, or <kbd>bob</kbd> with <kbd>builder</kbd>.</p>
    {counter}"#,
        username = escape(username),
        counter = counter(pages_seen),
    );
    document("Sign in", &content)
}

pub(crate) fn signed_in(user: &str, pages_seen: u32, session: Option<SessionId>) -> String {
    let session = session.map_or_else(
        || "none yet".to_owned(),
        |id| format!("<code>{}</code>", escape(&id.to_string())),
    );
    let content = format!(
        r#"<h1>Hello, <span id="user">{user}</span></h1>
    {counter}
    <p class="hint">Public id of the session: {session}. It opens nothing, and scripts cannot read the cookie that does.</p>
    <form method="post" action="/logout">
      <button type="submit">Sign out</button>
    </form>"#,
        user = escape(user),
        counter = counter(pages_seen),
    );
    document("Signed in", &content)
}

fn counter(pages_seen: u32) -> impl Display {
    format!(r#"<p>Pages seen in this session: <strong id="pages-seen">{pages_seen}</strong></p>"#)
}

fn document(title: &str, content: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title} · tower-keycard</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/style.css">
</head>
<body>
  <main>
    {content}
  </main>
</body>
</html>
"#
    )
}

/// Escapes text for a place between tags or inside a quoted attribute.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a string cannot fail.
                let _ = write!(safe, "&#{};", u32::from(character));
            }
            _ => safe.push(character),
        }
    }
    safe
}
