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

    let card = stack.visitor().await;
    stack.app.get("/untouched", Some(&card)).await;
    row("does not ask for its session", stack.cost());
    stack.app.get("/read", None).await;
    row("reads, and has none", stack.cost());
    stack.app.get("/read", Some(&card)).await;
    row("reads", stack.cost());
    stack.age(&card, 61_000);
    stack.app.get("/read", Some(&card)).await;
    row("reads, at most once a minute", stack.cost());
    stack.app.get("/write", Some(&card)).await;
    row("changes it", stack.cost());
    let answer = stack.app.get("/rotate", Some(&card)).await;
    row("rotates its card", stack.cost());
    stack.app.get("/logout", Some(answer.card())).await;
    row("logs out", stack.cost());

    let answer = stack.app.get("/write", None).await;
    row("begins one", stack.cost());
    let answer = stack.app.get("/login/alice", Some(answer.card())).await;
    row("logs in on it", stack.cost());
    stack.app.get("/login/bob", Some(answer.card())).await;
    row("logs in as somebody else", stack.cost());
    stack.app.get("/login/carol", None).await;
    row("logs in without one", stack.cost());
    table
}
