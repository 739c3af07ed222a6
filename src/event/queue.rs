//! The queue in which events wait for an observer.

use std::collections::VecDeque;

use super::session_event::SessionEvent;

/// Events in the order in which they came, with a limit on each of two kinds: those that any client can cause at will, and all
/// others. Each kind has room of its own, so the first never takes the place of the second.
pub(super) struct Queue {
    users: VecDeque<Numbered>,
    strangers: VecDeque<Numbered>,
    /// How many of the other events can wait. Half as many of those that any client can cause can wait beside them.
    capacity: usize,
    number: u64,
}

/// An event, with its place in the order of both kinds.
type Numbered = (u64, SessionEvent);

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            users: VecDeque::new(),
            strangers: VecDeque::new(),
            capacity,
            number: 0,
        }
    }

    /// Puts an event last, if there is room for its kind, and returns whether there was.
    pub(super) fn push(&mut self, event: SessionEvent) -> bool {
        let (waiting, room) = match event.kind.any_client_can_cause(event.user.is_some()) {
            true => (&mut self.strangers, self.capacity.div_ceil(2)),
            false => (&mut self.users, self.capacity),
        };
        let fits = waiting.len() < room;
        if fits {
            self.number += 1;
            waiting.push_back((self.number, event));
        }
        fits
    }

    /// Takes the event that has waited longest.
    pub(super) fn pop(&mut self) -> Option<SessionEvent> {
        let number = |waiting: &VecDeque<Numbered>| waiting.front().map(|(number, _)| *number);
        let next = match (number(&self.users), number(&self.strangers)) {
            (Some(user), Some(stranger)) if stranger < user => &mut self.strangers,
            (None, _) => &mut self.strangers,
            (Some(_), _) => &mut self.users,
        };
        next.pop_front().map(|(_, event)| event)
    }

    pub(super) fn len(&self) -> usize {
        self.users.len() + self.strangers.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;
    use crate::event::EventKind;

    /// Something that happens to a queue.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        User,
        Stranger,
        Pop,
    }

    fn event(number: usize, step: Step) -> SessionEvent {
        let kind = match step {
            Step::Stranger => EventKind::Malformed,
            Step::User | Step::Pop => EventKind::Created(crate::event::Creation::Login),
        };
        SessionEvent::new(kind, UNIX_EPOCH, number.to_string())
    }

    /// The numbers of the steps whose events came out, all that still waited at the end included.
    fn reported(capacity: usize, steps: &[Step]) -> Vec<usize> {
        let mut queue = Queue::new(capacity);
        let mut out = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Pop => out.extend(queue.pop()),
                Step::User | Step::Stranger => drop(queue.push(event(number, *step))),
            }
            assert!(queue.len() <= capacity + capacity.div_ceil(2));
        }
        out.extend(std::iter::from_fn(|| queue.pop()));
        out.iter()
            .map(|event| event.namespace.parse().unwrap())
            .collect()
    }

    proptest! {
        #[test]
        fn a_burst_of_strangers_events_costs_no_user_an_event(
            capacity in 1_usize..6,
            steps in prop::collection::vec(prop::sample::select(vec![Step::User, Step::Stranger]), 0..40),
        ) {
            let of_users = |number: &usize| matches!(steps[*number], Step::User);
            let users = (0..steps.len()).filter(of_users).take(capacity);
            let seen = reported(capacity, &steps);
            prop_assert!(seen.iter().copied().filter(of_users).eq(users));
        }

        #[test]
        fn events_keep_their_order(
            capacity in 1_usize..6,
            steps in prop::collection::vec(prop::sample::select(vec![Step::User, Step::Stranger, Step::Pop]), 0..40),
        ) {
            let seen = reported(capacity, &steps);
            prop_assert!(seen.is_sorted());
        }
    }
}
