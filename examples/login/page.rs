//! The two faces of the page. Everything that came from outside goes through [`escape`].

use std::fmt::{Display, Write};

use tower_keycard::SessionId;

/// Served from `/style.css`, so that the content security policy need not allow inline styles.
pub(crate) const STYLE: &str = include_str!("style.css");

/// What the page has to tell besides its usual content.
pub(crate) enum Notice<'a> {
    None,
    Refused { username: &'a str },
}

pub(crate) fn sign_in(visits: u32, notice: Notice<'_>) -> String {
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
    {visits}"#,
        username = escape(username),
        visits = counted(visits),
    );
    document("Sign in", &content)
}

pub(crate) fn signed_in(user: &str, visits: u32, session: Option<SessionId>) -> String {
    let session = session.map_or_else(
        || "none yet".to_owned(),
        |id| format!("<code>{}</code>", escape(&id.to_string())),
    );
    let content = format!(
        r#"<h1>Hello, <span id="user">{user}</span></h1>
    {visits}
    <p class="hint">Session: {session} — a public name, it opens nothing. The cookie that does is out of reach for scripts.</p>
    <form method="post" action="/logout">
      <button type="submit">Sign out</button>
    </form>"#,
        user = escape(user),
        visits = counted(visits),
    );
    document("Signed in", &content)
}

fn counted(visits: u32) -> impl Display {
    format!(r#"<p>Pages seen in this session: <strong id="visits">{visits}</strong></p>"#)
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

/// Text that is safe between tags and inside quoted attributes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a string does not fail.
                let _ = write!(safe, "&#{};", u32::from(character));
            }
            _ => safe.push(character),
        }
    }
    safe
}
