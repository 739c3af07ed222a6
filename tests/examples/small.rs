//! The small examples as real processes, seen by `curl`.

use crate::curl::Curl;
use crate::example::Example;

fn counts_each_visitor_apart(name: &str) {
    let example = Example::start(name, &[], &[("PORT", "0")]);
    let (first, second) = (Curl::new(), Curl::new());
    for visit in 1..4 {
        let reply = first.get(&example.url("/"));
        assert_eq!(
            (reply.status, reply.body),
            (200, format!("visit {visit}\n"))
        );
    }
    assert_eq!(second.get(&example.url("/")).body, "visit 1\n");
    assert_eq!(first.get(&example.url("/")).body, "visit 4\n");
}

#[cfg(feature = "axum")]
#[test]
fn the_shortest_example_counts_each_visitor_apart() {
    counts_each_visitor_apart("counter");
}

#[test]
fn without_axum_each_visitor_is_counted_apart() {
    counts_each_visitor_apart("plain_tower");
}
