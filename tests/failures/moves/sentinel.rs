//! A primary that sentinels replace.

use super::*;
use crate::support::redis_sentinel::{RedisSentinel, SERVICE};

/// Whether another server than this one is the primary, as sentinels say and as it says itself.
fn is_replaced(trio: &RedisSentinel, old: usize) -> bool {
    let now = trio.primary_number();
    now != old && trio.servers[now].cli(&["ROLE"]).starts_with("master")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_sentinels_replace_on_command_is_left_for_the_new_one() {
    let _alone = alone().await;
    let trio = RedisSentinel::start();
    let clients = Clients::start(app(trio.config()).await).await;
    for _ in 0..2 {
        let old = trio.primary_number();
        let ordered = || trio.sentinels[0].cli(&["SENTINEL", "FAILOVER", SERVICE]) == "OK";
        when_healthy("sentinels are ready", ordered).await;
        let healthy = when_healthy("another takes over", || is_replaced(&trio, old)).await;
        recovered(&clients, healthy).await;
        tokio::task::block_in_place(|| trio.wait_until_healthy());
    }
    let count = clients.stop().await;
    println!("sentinels replaced the primary twice: {count:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_dies_is_replaced_by_sentinels() {
    let _alone = alone().await;
    let mut trio = RedisSentinel::start();
    let clients = Clients::start(app(trio.config()).await).await;
    trio.servers[0].kill();
    let healthy = when_healthy("another takes over", || is_replaced(&trio, 0)).await;
    recovered(&clients, healthy).await;
    trio.servers[0].restart();
    let follows = || trio.servers[0].cli(&["ROLE"]).starts_with("slave");
    let healthy = when_healthy("the old one follows", follows).await;
    recovered(&clients, healthy).await;
    let count = clients.stop().await;
    assert!(count.unavailable > 0, "it was noticed: {count:?}");
    println!("the primary behind sentinels was killed: {count:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_that_stands_still_or_is_gone_is_passed_over() {
    let _alone = alone().await;
    let mut trio = RedisSentinel::start();
    let clients = Clients::start(app(trio.config()).await).await;
    trio.sentinels[0].pause();
    drop(trio.sentinels.pop());
    for _ in 0..5 {
        trio.servers[0].cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        recovered(&clients, Instant::now()).await;
    }
    nothing_undone(&clients.stop().await);
}
