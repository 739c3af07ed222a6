//! Each kind of request, as round trips and commands.

use std::fmt::Write;

use super::Stack;

/// A kind of request, and what it costs once the server knows the scripts.
pub(crate) async fn table() -> String {
    let mut stack = Stack::start().await;
    let mut table =
        "| request | round trips | commands | of scripts |\n|---|---:|---:|---:|\n".to_owned();
    let mut row = |name: &str, (commands, round_trips): (Vec<String>, u32)| {
        let scripted = commands.iter().filter(|line| line.starts_with("lua "));
        let scripted = scripted.count();
        let sent = commands.len() - scripted;
        writeln!(table, "| {name} | {round_trips} | {sent} | {scripted} |").unwrap();
    };

    let token = stack.logged_in().await;
    stack.app.get("/untouched", Some(&token)).await;
    row("does not ask for its session", stack.cost());
    stack.app.get("/read", None).await;
    row("reads, without a session", stack.cost());
    stack.app.get("/read", Some(&token)).await;
    row("reads", stack.cost());
    stack.age(&token, 61_000);
    stack.app.get("/read", Some(&token)).await;
    row("reads, and slides the idle limit", stack.cost());
    stack.app.get("/write", Some(&token)).await;
    row("changes its session", stack.cost());
    let answer = stack.app.get("/rotate", Some(&token)).await;
    row("rotates its token", stack.cost());
    stack.app.get("/logout", Some(answer.token())).await;
    row("logs out", stack.cost());

    let answer = stack.app.get("/write", None).await;
    row("creates a session", stack.cost());
    let answer = stack.app.get("/login/alice", Some(answer.token())).await;
    row("logs in with a session", stack.cost());
    stack.app.get("/login/bob", Some(answer.token())).await;
    row("logs in as another user", stack.cost());
    stack.app.get("/login/carol", None).await;
    row("logs in without a session", stack.cost());
    table
}
