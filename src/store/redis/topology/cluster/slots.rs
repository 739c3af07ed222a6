//! What the nodes of a cluster say: which node has which slot, and to which node to send a command instead.

use redis::{Cmd, Value};

/// The number of slots: see the [specification](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
pub(super) const SLOTS: u16 = 16_384;

/// The host and the port of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Slots that the same nodes have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) slots: std::ops::RangeInclusive<usize>,
    pub(super) primary: Address,
    pub(super) replicas: Vec<Address>,
}

/// [`CLUSTER SLOTS`](https://redis.io/docs/latest/commands/cluster-slots/), which every version knows.
pub(super) fn cluster_slots() -> Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    command
}

/// The answer of the node at `asked` to [`cluster_slots`]. Ranges that make no sense are left out.
pub(super) fn ranges(answer: &Value, asked: &str) -> Option<Vec<Range>> {
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
    let mut nodes = nodes.iter().map(|node| address(node, asked));
    let primary = nodes.next()??;
    (first <= last && last < usize::from(SLOTS)).then(|| Range {
        slots: first..=last,
        primary,
        replicas: nodes.flatten().collect(),
    })
}

/// The address of a node. A node that does not know its own name has that at which it was asked. A node with the name `?` is
/// unknown.
fn address(value: &Value, asked: &str) -> Option<Address> {
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
    Some(Address {
        host: host.to_owned(),
        port: u16::try_from(*port).ok()?,
    })
}

/// Where to send a command that a node did not carry out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// To the node that has the slot now.
    Moved(Address),
    /// To the node to which the slot is moving. The key has moved there already, or does not exist.
    Ask(Address),
    /// To the same node, later: the slot is moving, and its keys are on two nodes.
    TryAgain,
}

impl Redirect {
    /// The redirection in an answer of the node at `asked`, if it is one.
    pub(super) fn in_answer(answer: &Value, asked: &str) -> Option<Self> {
        let Value::ServerError(error) = answer else {
            return None;
        };
        let address = || {
            let (_slot, address) = error.details()?.trim().split_once(' ')?;
            let (host, port) = address.rsplit_once(':')?;
            let host = match host {
                "" => asked,
                "?" => return None,
                host => host.trim_start_matches('[').trim_end_matches(']'),
            };
            Some(Address {
                host: host.to_owned(),
                port: port.parse().ok()?,
            })
        };
        match error.code() {
            "MOVED" => address().map(Self::Moved),
            "ASK" => address().map(Self::Ask),
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

    fn at(host: &str, port: u16) -> Address {
        let host = host.to_owned();
        Address { host, port }
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
    fn an_answer_redirects_a_command() {
        let redirect = |line| Redirect::in_answer(&error(line), "asked");
        let moved = |host, port| Some(Redirect::Moved(at(host, port)));
        assert_eq!(
            redirect("MOVED 3999 127.0.0.1:6381"),
            moved("127.0.0.1", 6_381)
        );
        assert_eq!(redirect("MOVED 3999 ::1:6381"), moved("::1", 6_381));
        assert_eq!(redirect("MOVED 3999 :6381"), moved("asked", 6_381));
        assert_eq!(redirect("MOVED 3999 ?:6381"), None);
        let ask = Redirect::Ask(at("host.example", 1));
        assert_eq!(redirect("ASK 3999 host.example:1"), Some(ask));
        assert_eq!(redirect("TRYAGAIN Multiple keys"), Some(Redirect::TryAgain));
        assert_eq!(redirect("CLUSTERDOWN The cluster is down"), None);
        assert_eq!(redirect("MOVED"), None);
        assert_eq!(Redirect::in_answer(&Value::Okay, "asked"), None);
    }
}
