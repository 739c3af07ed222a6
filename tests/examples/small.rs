//! The small examples as real processes, seen by `curl`.

use crate::curl::Curl;
use crate::example::Example;

fn counts_each_client_apart(name: &str) {
    let example = Example::start(name, &[], &[("PORT", "0")]);
    let (first, second) = (Curl::new(), Curl::new());
    for views in 1..4 {
        let reply = first.get(&example.url("/"));
        assert_eq!(
            (reply.status, reply.body),
            (200, format!("page view {views}\n"))
        );
    }
    assert_eq!(second.get(&example.url("/")).body, "page view 1\n");
    assert_eq!(first.get(&example.url("/")).body, "page view 4\n");
}

#[cfg(feature = "axum")]
#[test]
fn the_shortest_example_counts_each_client_apart() {
    counts_each_client_apart("counter");
}

#[test]
fn without_axum_each_client_is_counted_apart() {
    counts_each_client_apart("plain_tower");
}
