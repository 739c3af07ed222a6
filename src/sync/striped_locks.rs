//! Striped locks for keys: writers of this process that have met at a key write one after the other from then on.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard};

const STRIPES: usize = 32;

/// A fixed number of locks that keys share. Writers that contend for a key delay only writers that contend for another key of
/// the same stripe.
#[derive(Default)]
pub(crate) struct StripedLocks([Lock; STRIPES]);

#[derive(Default)]
struct Lock {
    mutex: Mutex<()>,
    /// The number of writers that have the lock or wait for it.
    contenders: AtomicUsize,
    /// The key of the last contender.
    key: AtomicU64,
}

/// The lock for one key.
#[derive(Clone, Copy)]
pub(crate) struct Stripe<'a> {
    lock: &'a Lock,
    key: u64,
}

/// A locked stripe. Dropping it unlocks the stripe.
pub(crate) struct StripeGuard<'a> {
    _guard: MutexGuard<'a, ()>,
    _contender: Contender<'a>,
}

struct Contender<'a>(&'a Lock);

impl StripedLocks {
    /// The stripe of a key. The key must be random, or nearly so.
    pub(crate) fn stripe(&self, key: u64) -> Stripe<'_> {
        let [first, ..] = key.to_ne_bytes();
        let lock = &self.0[usize::from(first) % STRIPES];
        Stripe { lock, key }
    }
}

impl<'a> Stripe<'a> {
    /// Whether writers of this key have met, and at least one of them has not finished.
    ///
    /// A new writer that does not wait for them could win against them again and again, until they give up.
    pub(crate) fn is_contended(self) -> bool {
        self.lock.contenders.load(Ordering::Relaxed) > 0
            && self.lock.key.load(Ordering::Relaxed) == self.key
    }

    /// Waits for the stripe, and locks it.
    pub(crate) async fn lock(self) -> StripeGuard<'a> {
        let contender = Contender::new(self);
        StripeGuard {
            _guard: self.lock.mutex.lock().await,
            _contender: contender,
        }
    }
}

impl<'a> Contender<'a> {
    fn new(Stripe { lock, key }: Stripe<'a>) -> Self {
        lock.contenders.fetch_add(1, Ordering::Relaxed);
        lock.key.store(key, Ordering::Relaxed);
        Self(lock)
    }
}

impl Drop for Contender<'_> {
    fn drop(&mut self) {
        self.0.contenders.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const ONE: u64 = u64::from_ne_bytes(*b"one_____");
    const OTHER: u64 = u64::from_ne_bytes(*b"other___");

    #[test]
    fn a_stripe_is_contended_until_its_last_contender_is_gone() {
        let locks = StripedLocks::default();
        let stripe = locks.stripe(ONE);
        assert!(!stripe.is_contended());
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(stripe.lock());
        let Poll::Ready(first) = first.as_mut().poll(&mut context) else {
            panic!("the lock is free");
        };
        let mut second = Box::pin(stripe.lock());
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert!(stripe.is_contended());
        // A contender that gave up while it waited no longer counts.
        drop(second);
        assert!(!stripe.is_contended());
    }

    #[tokio::test]
    async fn another_key_of_the_same_stripe_is_not_contended() {
        let locks = StripedLocks::default();
        let (one, other) = (locks.stripe(ONE), locks.stripe(OTHER));
        assert!(std::ptr::eq(one.lock, other.lock));
        let _guard = one.lock().await;
        assert!(one.is_contended() && !other.is_contended());
    }
}
