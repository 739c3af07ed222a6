//! Whether the user may do what the store does: every command once, in a form that changes nothing.

use redis::{Arg, Cmd, Pipeline, Value};

use super::scripts;

/// The commands of the store and of its scripts, on a key that begins with the prefix and that nobody ever makes: each finds
/// nothing there, and leaves nothing there.
pub(crate) fn probe(prefix: &str) -> Pipeline {
    let key = format!("{prefix}probe");
    let mut commands = Pipeline::new();
    let mut add = |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        commands.add_command(command);
    };
    for words in [
        &["GET", &key][..],
        &["GETRANGE", &key, "0", "0"],
        // XX: only if the key exists.
        &["SET", &key, "", "XX"],
        &["SETRANGE", &key, "0", ""],
        &["PEXPIRE", &key, "1"],
        &["EVAL", "return 1", "1", &key],
        &[
            "EVALSHA",
            scripts::TOUCH.hash(),
            "1",
            &key,
            "none",
            "0",
            "1",
        ],
        &["TIME"],
        &["ZADD", &key, "XX", "0", "member"],
        &["ZMSCORE", &key, "member"],
        &["ZRANGE", &key, "0", "-1"],
        &["ZREM", &key, "member"],
        &["ZREMRANGEBYSCORE", &key, "0", "0"],
        &["ZCARD", &key],
        &["PEXPIREAT", &key, "1"],
        &["SCAN", "0", "MATCH", &key, "COUNT", "1"],
        &["DEL", &key],
    ] {
        add(words);
    }
    commands
}

/// What the user may not do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Commands that the user may not run.
    commands: Vec<String>,
    /// Commands that the user may run, and not with the keys of the store.
    on_keys: Vec<String>,
    /// Commands that the server does not have.
    unknown: Vec<String>,
}

/// What is missing, from the answers to these commands. The server looks for the command first and then for the right, before
/// anything else: any other error means that both are there.
pub(crate) fn missing(commands: &Pipeline, answers: &[Value]) -> Missing {
    let mut missing = Missing::default();
    for (command, answer) in commands.cmd_iter().zip(answers) {
        let Value::ServerError(error) = answer else {
            continue;
        };
        let details = error.details().unwrap_or_default();
        let list = match error.code() {
            "NOPERM" if details.contains("access") => &mut missing.on_keys,
            "NOPERM" => &mut missing.commands,
            "ERR" if details.starts_with("unknown command") => &mut missing.unknown,
            _ => continue,
        };
        let name = name_of(command);
        if !list.contains(&name) {
            list.push(name);
        }
    }
    missing
}

fn name_of(command: &Cmd) -> String {
    match command.args_iter().next() {
        Some(Arg::Simple(name)) => String::from_utf8_lossy(name).to_lowercase(),
        _ => String::new(),
    }
}

impl Missing {
    /// What to tell the operator, if anything is missing.
    pub(crate) fn explained(&self, prefix: &str) -> Option<String> {
        let rights = |names: &[String]| -> Vec<String> {
            names.iter().map(|name| format!("+{name}")).collect()
        };
        let mut parts = Vec::new();
        if !self.commands.is_empty() {
            let rights = rights(&self.commands).join(" ");
            parts.push(format!("the user lacks the rights {rights}"));
        }
        if !self.on_keys.is_empty() {
            let names = self.on_keys.join(", ");
            parts.push(format!("the user lacks the keys ~{prefix}* (for {names})"));
        }
        if !self.unknown.is_empty() {
            let names = self.unknown.join(", ");
            parts.push(format!("the server does not know the commands {names}"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> Value {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn each_kind_of_denial_is_told_apart_in_the_words_of_every_version() {
        let commands = probe("shop:");
        let mut answers = vec![Value::Nil; commands.len()];
        answers[0] =
            error("NOPERM this user has no permissions to run the 'get' command or its subcommand");
        answers[1] = error("NOPERM User shop has no permissions to run the 'getrange' command");
        answers[2] = error("NOPERM No permissions to access a key");
        answers[3] = error(
            "NOPERM this user has no permissions to access one of the keys used as arguments",
        );
        answers[5] = error("ERR unknown command 'EVAL', with args beginning with: 'return 1' ");
        answers[6] = error("NOSCRIPT No matching script. Please use EVAL.");
        answers[8] = error("OOM command not allowed when used memory > 'maxmemory'.");
        let missing = missing(&commands, &answers);
        assert_eq!(
            missing.explained("shop:").as_deref(),
            Some(
                "the user lacks the rights +get +getrange; the user lacks the keys ~shop:* (for set, setrange); \
                 the server does not know the commands eval"
            )
        );
        let all_well = vec![Value::Nil; commands.len()];
        assert_eq!(
            super::missing(&commands, &all_well).explained("shop:"),
            None
        );
    }
}
