//! What survives a crash of Redis: a real server is killed under load and started again, over and over, and all that was
//! acknowledged is looked for.
//!
//! Ten times here; as often as it says with
//! `KEYCARD_KILLS=200 KEYCARD_WRITE_DOCS=1 cargo test --all-features --test failures durability`, which writes `docs/durability.md`.

mod client;
mod page;
mod stage;
mod tally;

use stage::Stage;
use tally::Tally;

use crate::alone;

/// How often the server is killed, unless the environment says otherwise.
const KILLS: u32 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_every_kill_with_always_and_comes_to_no_harm_with_everysec()
{
    let _alone = alone().await;
    let kills = std::env::var("KEYCARD_KILLS");
    let kills = kills.map_or(KILLS, |kills| kills.parse().unwrap());
    let always = outlived("always", kills).await;
    let everysec = outlived("everysec", kills).await;
    println!("always: {always:#?}\neverysec: {everysec:#?}");
    if std::env::var_os("KEYCARD_WRITE_DOCS").is_some() {
        page::write(&always, &everysec);
    }
    assert_eq!(always.lost(), 0, "{always:#?}");
    assert_eq!(always.unlisted, 0, "{always:#?}");
    for tally in [&always, &everysec] {
        // The load is one: each kind of write was acknowledged, and the kills did not come between two requests.
        for kind in tally.acknowledged() {
            assert!(kind >= u64::from(kills), "{tally:#?}");
        }
        assert!(tally.amidst >= u64::from(kills), "{tally:#?}");
        assert_eq!(tally.impossible, 0, "{tally:#?}");
    }
}

/// What so many kills of a server with this `appendfsync` came to.
async fn outlived(appendfsync: &str, kills: u32) -> Tally {
    let args = ["--appendonly", "yes", "--appendfsync", appendfsync];
    // So that the file is also rewritten now and then, which is another thing that a kill can come amidst.
    let rewritten = ["--auto-aof-rewrite-min-size", "512kb"];
    let mut stage = Stage::start(&[&args[..], &rewritten].concat()).await;
    for kill in 0..kills {
        // Never at the same moment of the load.
        stage.load(200 + kill * 37 % 400).await;
        stage.look().await;
    }
    stage.look_at_all_that_ended().await;
    stage.tally()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_forgets_is_found_out() {
    let _alone = alone().await;
    let mut stage = Stage::start(&[]).await;
    stage.load(600).await;
    stage.look().await;
    let tally = stage.tally();
    assert!(tally.sessions > 0, "{tally:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_comes_back_with_an_old_snapshot_is_found_out() {
    let _alone = alone().await;
    let mut stage = Stage::start(&[]).await;
    stage.load_after_a_snapshot(600, 150).await;
    stage.look().await;
    let tally = stage.tally();
    let losses = [
        tally.changes,
        tally.sessions,
        tally.rotations,
        tally.logouts,
    ];
    assert!(losses.iter().all(|&lost| lost > 0), "{tally:#?}");
    assert_eq!(tally.impossible, 0, "{tally:#?}");
}
