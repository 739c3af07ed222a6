//! Which server has which slot, as a cluster's node tells it, and where an answer sends a command instead.

use redis::{Cmd, Value};

/// How many slots there are: see the [specification](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
pub(crate) const SLOTS: u16 = 16_384;

/// The host and port of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Slots that the same servers have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) slots: std::ops::RangeInclusive<usize>,
    pub(crate) primary: Place,
    pub(crate) replicas: Vec<Place>,
}

/// [`CLUSTER SLOTS`](https://redis.io/docs/latest/commands/cluster-slots/), which every version knows.
pub(crate) fn ask() -> Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    command
}

/// What the node at `asked` answered to [`ask`]. A range that makes no sense is left out.
pub(crate) fn ranges(answer: &Value, asked: &str) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    Some(
        ranges
            .iter()
            .filter_map(|each| range(each, asked))
            .collect(),
    )
}

fn range(value: &Value, asked: &str) -> Option<Range> {
    let Value::Array(parts) = value else {
        return None;
    };
    let [Value::Int(first), Value::Int(last), nodes @ ..] = &parts[..] else {
        return None;
    };
    let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
    let mut nodes = nodes.iter().map(|node| place(node, asked));
    let primary = nodes.next()??;
    (first <= last && last < usize::from(SLOTS)).then(|| Range {
        slots: first..=last,
        primary,
        replicas: nodes.flatten().collect(),
    })
}

/// A node. One that does not know its own name is where it was asked; one of an unknown name is nowhere.
fn place(value: &Value, asked: &str) -> Option<Place> {
    let Value::Array(parts) = value else {
        return None;
    };
    let [host, Value::Int(port), ..] = &parts[..] else {
        return None;
    };
    let host = match host {
        Value::Nil => asked,
        Value::BulkString(host) => match std::str::from_utf8(host).ok()? {
            "" => asked,
            "?" => return None,
            host => host,
        },
        _ => return None,
    };
    Some(Place {
        host: host.to_owned(),
        port: u16::try_from(*port).ok()?,
    })
}

/// What to do instead with a command that a node did not carry out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// The slot is that node's now.
    Moved(Place),
    /// The slot is on its way to that node, and the key is there already, or not anywhere yet.
    Ask(Place),
    /// The slot is on its way, and some of the keys are here and others there.
    TryAgain,
}

impl Redirect {
    /// What an answer of the node at `asked` says, if it sends the command elsewhere.
    pub(crate) fn of(answer: &Value, asked: &str) -> Option<Self> {
        let Value::ServerError(error) = answer else {
            return None;
        };
        let place = || {
            let (_slot, place) = error.details()?.trim().split_once(' ')?;
            let (host, port) = place.rsplit_once(':')?;
            let host = match host {
                "" => asked,
                "?" => return None,
                host => host.trim_start_matches('[').trim_end_matches(']'),
            };
            Some(Place {
                host: host.to_owned(),
                port: port.parse().ok()?,
            })
        };
        match error.code() {
            "MOVED" => place().map(Self::Moved),
            "ASK" => place().map(Self::Ask),
            "TRYAGAIN" => Some(Self::TryAgain),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: Value, port: i64) -> Value {
        let id = Value::BulkString(b"id".to_vec());
        Value::Array(vec![host, Value::Int(port), id, Value::Array(vec![])])
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn at(host: &str, port: u16) -> Place {
        let host = host.to_owned();
        Place { host, port }
    }

    #[test]
    fn a_range_has_a_primary_and_replicas() {
        let answer = Value::Array(vec![Value::Array(vec![
            Value::Int(0),
            Value::Int(5_460),
            node(bulk("10.0.0.1"), 7_000),
            node(bulk("?"), 7_001),
            node(Value::Nil, 7_002),
            node(bulk(""), 7_003),
        ])]);
        let ranges = ranges(&answer, "asked").unwrap();
        let [range] = &ranges[..] else {
            panic!("one range: {ranges:?}");
        };
        assert_eq!(range.slots, 0..=5_460);
        assert_eq!(range.primary, at("10.0.0.1", 7_000));
        assert_eq!(range.replicas, [at("asked", 7_002), at("asked", 7_003)]);
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let bad = [
            Value::Array(vec![Value::Int(1), Value::Int(0), node(bulk("h"), 1)]),
            Value::Array(vec![Value::Int(0), Value::Int(16_384), node(bulk("h"), 1)]),
            Value::Array(vec![Value::Int(-1), Value::Int(1), node(bulk("h"), 1)]),
            Value::Array(vec![Value::Int(0), Value::Int(1), node(bulk("h"), 65_536)]),
            Value::Array(vec![Value::Int(0), Value::Int(1), node(bulk("?"), 1)]),
            Value::Array(vec![Value::Int(0), Value::Int(1)]),
            Value::Nil,
        ];
        assert_eq!(ranges(&Value::Array(bad.to_vec()), "asked"), Some(vec![]));
        assert_eq!(ranges(&Value::Okay, "asked"), None);
    }

    fn error(line: &str) -> Value {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn an_answer_sends_a_command_elsewhere() {
        let of = |line| Redirect::of(&error(line), "asked");
        let moved = |host, port| Some(Redirect::Moved(at(host, port)));
        assert_eq!(of("MOVED 3999 127.0.0.1:6381"), moved("127.0.0.1", 6_381));
        assert_eq!(of("MOVED 3999 ::1:6381"), moved("::1", 6_381));
        assert_eq!(of("MOVED 3999 :6381"), moved("asked", 6_381));
        assert_eq!(of("MOVED 3999 ?:6381"), None);
        let ask = Redirect::Ask(at("host.example", 1));
        assert_eq!(of("ASK 3999 host.example:1"), Some(ask));
        assert_eq!(of("TRYAGAIN Multiple keys"), Some(Redirect::TryAgain));
        assert_eq!(of("CLUSTERDOWN The cluster is down"), None);
        assert_eq!(of("MOVED"), None);
        assert_eq!(Redirect::of(&Value::Okay, "asked"), None);
    }
}
