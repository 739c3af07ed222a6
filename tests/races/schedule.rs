//! What decides the next step: an exhaustive search, a seed, or a recorded schedule.

use crate::support::random::Random;

/// Where decisions come from.
enum Source {
    /// These, then always the first choice: the next path of an exhaustive search, or a recorded schedule.
    Path(Vec<usize>),
    Random(Random),
}

/// A schedule: takes decisions, and remembers them.
pub(crate) struct Schedule {
    source: Source,
    /// Each decision, and out of how many.
    taken: Vec<(usize, usize)>,
}

impl Schedule {
    pub(crate) fn replay(path: &[usize]) -> Self {
        Self {
            source: Source::Path(path.to_vec()),
            taken: Vec::new(),
        }
    }

    pub(crate) fn random(random: Random) -> Self {
        Self {
            source: Source::Random(random),
            taken: Vec::new(),
        }
    }

    /// Decides between this many choices.
    pub(crate) fn choose(&mut self, choices: usize) -> usize {
        if choices == 1 {
            return 0;
        }
        let place = self.taken.len();
        let choice = match &mut self.source {
            Source::Path(path) => path.get(place).map_or(0, |choice| choice % choices),
            Source::Random(random) => random.below(choices),
        };
        self.taken.push((choice, choices));
        choice
    }

    /// The decisions taken, to be replayed.
    pub(crate) fn path(&self) -> Vec<usize> {
        self.taken.iter().map(|(choice, _)| *choice).collect()
    }

    /// The next path of an exhaustive, depth-first search; `None` after the last.
    pub(crate) fn next_path(mut self) -> Option<Vec<usize>> {
        while let Some((choice, choices)) = self.taken.pop() {
            if choice + 1 < choices {
                let mut path = self.path();
                path.push(choice + 1);
                return Some(path);
            }
        }
        None
    }
}

#[test]
fn an_exhaustive_search_takes_every_path_once() {
    let mut seen = std::collections::BTreeSet::new();
    let mut path = Some(Vec::new());
    while let Some(next) = path {
        let mut schedule = Schedule::replay(&next);
        let first = schedule.choose(3);
        let second = if first == 1 { schedule.choose(2) } else { 0 };
        assert!(seen.insert((first, second)));
        path = schedule.next_path();
    }
    assert_eq!(seen.len(), 4);
}
