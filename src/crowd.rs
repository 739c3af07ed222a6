//! Crowds: writers of this process that met at one session, and take turns from then on.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use crate::token::SessionId;

const PLACES: usize = 32;

/// Where crowds gather. Sessions share places: who crowds one holds up the crowds at the others there, and nobody else.
#[derive(Default)]
pub(crate) struct Crowds([Place; PLACES]);

#[derive(Default)]
struct Place {
    turns: Mutex<()>,
    /// How many have a turn here, or wait for one.
    members: AtomicUsize,
    /// The session of whoever came last.
    session: AtomicU64,
}

/// The writers of one session.
#[derive(Clone, Copy)]
pub(crate) struct Crowd<'a> {
    place: &'a Place,
    session: u64,
}

/// A turn at a session, which ends when it is dropped.
pub(crate) struct CrowdTurn<'a> {
    _turn: MutexGuard<'a, ()>,
    _member: Member<'a>,
}

struct Member<'a>(&'a Place);

impl Crowds {
    pub(crate) fn at(&self, id: SessionId) -> Crowd<'_> {
        let (start, _) = id.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
        let session = u64::from_ne_bytes(*start);
        let place = &self.0[usize::from(start[0]) % PLACES];
        Crowd { place, session }
    }
}

impl<'a> Crowd<'a> {
    /// Whether writers of this session have met, and some of them are still at it.
    ///
    /// Whoever comes now would get ahead of them, time after time, until they give up.
    pub(crate) fn is_gathered(self) -> bool {
        self.place.members.load(Ordering::Relaxed) > 0
            && self.place.session.load(Ordering::Relaxed) == self.session
    }

    /// Joins the crowd, and waits for a turn.
    pub(crate) async fn turn(self) -> CrowdTurn<'a> {
        let member = Member::join(self);
        CrowdTurn {
            _turn: self.place.turns.lock().await,
            _member: member,
        }
    }
}

impl<'a> Member<'a> {
    fn join(Crowd { place, session }: Crowd<'a>) -> Self {
        place.members.fetch_add(1, Ordering::Relaxed);
        place.session.store(session, Ordering::Relaxed);
        Self(place)
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.0.members.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn id(text: &str) -> SessionId {
        format!("{text:A<20}").parse().unwrap()
    }

    #[test]
    fn a_crowd_is_there_until_its_last_member_has_gone() {
        let crowds = Crowds::default();
        let crowd = crowds.at(id("one"));
        assert!(!crowd.is_gathered());
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(crowd.turn());
        let Poll::Ready(first) = first.as_mut().poll(&mut context) else {
            panic!("nobody else is there");
        };
        let mut second = Box::pin(crowd.turn());
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert!(crowd.is_gathered());
        // One that waited and gave up is gone as well.
        drop(second);
        assert!(!crowd.is_gathered());
    }

    #[tokio::test]
    async fn another_session_at_the_same_place_is_no_crowd() {
        let crowds = Crowds::default();
        let (one, other) = (crowds.at(id("one")), crowds.at(id("other")));
        assert!(std::ptr::eq(one.place, other.place));
        let _turn = one.turn().await;
        assert!(one.is_gathered() && !other.is_gathered());
    }
}
