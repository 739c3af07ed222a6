//! Randomness as an input: one generator per thread, seeded by the operating system. A failure of the system is an error, and
//! never leads to a weak token.
//!
//! The system provides a seed and not every token, because that would take longer than everything else that a request does.
//! A seed serves only one process, so two processes never draw the same after a fork. And it serves only a few draws, so an
//! attacker who reads it from memory can predict or reconstruct little. It is wiped with its last draw.

use std::cell::RefCell;
use std::fmt;

use rand::rngs::{ChaCha12Rng, SysRng};
use rand::{Rng, SeedableRng, TryRng};
use zeroize::Zeroizing;

/// The number of draws for which one seed is used.
const DRAWS_PER_SEED: u8 = 64;

/// The source of random bytes.
#[derive(Clone, Default)]
pub(crate) enum Random {
    #[default]
    System,
    #[cfg(any(test, feature = "testing"))]
    Function(Fill),
}

#[cfg(any(test, feature = "testing"))]
type Fill = std::sync::Arc<dyn Fn(&mut [u8]) -> bool + Send + Sync>;

impl Random {
    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        match self {
            Self::System => draw(bytes),
            #[cfg(any(test, feature = "testing"))]
            Self::Function(fill) => fill(bytes).then_some(()).ok_or(RandomError),
        }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RandomError;

impl fmt::Display for RandomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system's random number generator failed")
    }
}

impl std::error::Error for RandomError {}

thread_local! {
    static GENERATOR: RefCell<Generator> = const { RefCell::new(Generator(None)) };
}

fn draw(bytes: &mut [u8]) -> Result<(), RandomError> {
    let drawn = GENERATOR.try_with(|generator| {
        let mut generator = generator.borrow_mut();
        generator.fill(bytes, std::process::id(), fill_from_system)
    });
    // The generator of a thread that ends may be dropped already.
    drawn.unwrap_or_else(|_dropped| fill_from_system(bytes))
}

fn fill_from_system(bytes: &mut [u8]) -> Result<(), RandomError> {
    SysRng.try_fill_bytes(bytes).map_err(|_| RandomError)
}

/// One thread's generator. It has a seed as long as the seed has draws left.
#[derive(Default)]
struct Generator(Option<SeededRng>);

struct SeededRng {
    /// Wiped when dropped.
    rng: ChaCha12Rng,
    process: u32,
    draws_left: u8,
}

impl Generator {
    fn fill(
        &mut self,
        bytes: &mut [u8],
        process: u32,
        system: impl FnOnce(&mut [u8]) -> Result<(), RandomError>,
    ) -> Result<(), RandomError> {
        let seeded = match &mut self.0 {
            Some(seeded) if seeded.process == process => seeded,
            unusable => {
                // Dropped first, because the system may fail.
                *unusable = None;
                unusable.insert(SeededRng::new(system, process)?)
            }
        };
        seeded.rng.fill_bytes(bytes);
        seeded.draws_left -= 1;
        if seeded.draws_left == 0 {
            self.0 = None;
        }
        Ok(())
    }
}

impl SeededRng {
    fn new(
        system: impl FnOnce(&mut [u8]) -> Result<(), RandomError>,
        process: u32,
    ) -> Result<Self, RandomError> {
        let mut seed = Zeroizing::new([0; 32]);
        system(seed.as_mut_slice())?;
        Ok(Self {
            rng: ChaCha12Rng::from_seed(*seed),
            process,
            draws_left: DRAWS_PER_SEED,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    /// Counts its calls, and gives different bytes each time.
    #[derive(Default)]
    struct FakeSystem {
        calls: Cell<u8>,
    }

    impl FakeSystem {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
            self.calls.set(self.calls.get() + 1);
            bytes.fill(self.calls.get());
            Ok(())
        }
    }

    fn drawn(generator: &mut Generator, process: u32, system: &FakeSystem) -> [u8; 16] {
        let mut bytes = [0; 16];
        let filled = generator.fill(&mut bytes, process, |seed| system.fill(seed));
        filled.unwrap();
        bytes
    }

    #[test]
    fn a_seed_serves_so_many_draws_and_no_more() {
        let (mut generator, system) = (Generator::default(), FakeSystem::default());
        let draws = 3 * usize::from(DRAWS_PER_SEED);
        let all: HashSet<_> = (0..draws)
            .map(|_| drawn(&mut generator, 1, &system))
            .collect();
        assert_eq!(all.len(), draws);
        assert_eq!(system.calls.get(), 3);
        assert!(generator.0.is_none());
    }

    #[test]
    fn a_process_that_forked_draws_what_the_other_does_not() {
        let (mut parent, mut child) = (Generator::default(), Generator::default());
        for process in [&mut parent, &mut child] {
            drawn(process, 1, &FakeSystem::default());
        }
        // Both generators are now in the same state, as after a fork.
        let system = FakeSystem::default();
        system.calls.set(1);
        let by_parent: Vec<_> = (0..9).map(|_| drawn(&mut parent, 1, &system)).collect();
        assert_eq!(system.calls.get(), 1);
        let by_child: Vec<_> = (0..9).map(|_| drawn(&mut child, 2, &system)).collect();
        assert_eq!(system.calls.get(), 2);
        assert!(by_child.iter().all(|bytes| !by_parent.contains(bytes)));
    }

    #[test]
    fn a_system_that_fails_is_an_error_each_time_until_it_answers() {
        let (mut generator, system) = (Generator::default(), FakeSystem::default());
        let fails = |generator: &mut Generator, process| {
            let mut bytes = [0; 16];
            let failed = generator.fill(&mut bytes, process, |seed| {
                seed.fill(1);
                Err(RandomError)
            });
            assert_eq!(failed, Err(RandomError));
            assert_eq!(bytes, [0; 16]);
        };
        fails(&mut generator, 1);
        fails(&mut generator, 1);
        let first = drawn(&mut generator, 1, &system);
        // Neither the seed of another process nor a used-up seed is used again.
        fails(&mut generator, 2);
        for _ in 0..DRAWS_PER_SEED {
            assert_ne!(drawn(&mut generator, 1, &system), first);
        }
        fails(&mut generator, 1);
    }

    #[test]
    fn no_two_threads_draw_the_same() {
        let draw = || {
            let all = (0..200).map(|_| {
                let mut bytes = [0; 16];
                Random::System.fill(&mut bytes).unwrap();
                bytes
            });
            all.collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..8).map(|_| thread::spawn(draw)).collect();
        let drawn = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        assert_eq!(drawn.collect::<HashSet<_>>().len(), 1_600);
    }

    #[test]
    fn a_thread_that_ends_draws_to_the_last() {
        struct AtTheEnd(std::sync::mpsc::Sender<[u8; 16]>);

        impl Drop for AtTheEnd {
            fn drop(&mut self) {
                let mut bytes = [0; 16];
                Random::System.fill(&mut bytes).unwrap();
                self.0.send(bytes).unwrap();
            }
        }

        thread_local! {
            static BEFORE: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
            static AFTER: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
        }

        let (sender, drawn) = std::sync::mpsc::channel();
        thread::spawn(move || {
            // Whatever the order in which they are dropped, one of them is dropped after the generator.
            BEFORE.set(Some(AtTheEnd(sender.clone())));
            Random::System.fill(&mut [0; 16]).unwrap();
            AFTER.set(Some(AtTheEnd(sender)));
        })
        .join()
        .unwrap();
        let drawn: HashSet<_> = drawn.iter().collect();
        assert!(drawn.len() == 2 && !drawn.contains(&[0; 16]));
    }

    #[test]
    fn what_is_drawn_is_wiped_with_its_generator() {
        fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
        is_wiped::<ChaCha12Rng>();
    }

    #[test]
    fn nothing_of_it_is_printed() {
        assert_eq!(format!("{:?}", Random::System), "Random");
        let error = RandomError.to_string();
        assert_eq!(error, "the system's random number generator failed");
    }
}
