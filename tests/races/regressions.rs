//! Cases that the exploration found, each explored to its end.

use crate::schedules::{Explorer, InMemory};
use crate::script::Operation::{Append, Insert, Login, Logout, Rotate, Save};
use crate::script::{Fault, Scene, Script, Start};

/// Plays a scene in every schedule, in none of which anything may be wrong.
fn exhaust(scene: &Scene) {
    Explorer::new(InMemory)
        .exhaust(scene)
        .unwrap_or_else(|fault| panic!("{fault}"));
}

#[test]
fn a_save_whose_reply_was_lost_gives_no_way_into_what_another_request_rotated() {
    let saves = Script::new(&[Append, Save, Insert("b")]).faults(&[Fault::None, Fault::ReplyLost]);
    for other in [&[Rotate][..], &[Login("alice")]] {
        let scene = Scene::new(Start::Anonymous, vec![saves.clone(), Script::new(other)]);
        exhaust(&scene);
    }
}

#[test]
fn an_interrupted_request_sends_no_cookie_that_an_earlier_save_left() {
    let saves = Script::new(&[Append, Save, Append]);
    for other in [&[Rotate][..], &[Login("alice")], &[Logout]] {
        let requests = vec![saves.clone(), Script::new(other)];
        let mut scene = Scene::new(Start::Anonymous, requests);
        scene.save_every_request = true;
        exhaust(&scene);
    }
}

#[test]
fn a_save_is_not_confirmed_by_a_touch_that_finds_another_revision() {
    let saves = Script::new(&[Append, Save]);
    for other in [&[Rotate][..], &[Login("alice")], &[Logout]] {
        let requests = vec![saves.clone(), Script::new(other)];
        let mut scene = Scene::new(Start::Anonymous, requests);
        scene.save_every_request = true;
        exhaust(&scene);
    }
}
