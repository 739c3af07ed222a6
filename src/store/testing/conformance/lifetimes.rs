//! How long records are kept.

use std::time::{Duration, Instant};

use super::context::{Context, LONG, LONGER_THAN_SHORT, SHORT, ensure, is_absent};
use super::harness::Harness;
use super::report::{CaseResult, Stop};
use super::sample::{sample_key, sample_record, sample_revision_of};
use crate::store::SessionStore;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// By how much the remaining time may be shorter than expected, on a slow machine.
const SLACK: Duration = Duration::from_secs(15);

pub(super) async fn an_expired_record_is_never_returned<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    cx.created(&key, &record, SHORT).await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.holds_nothing(&key).await
}

pub(super) async fn replace_of_an_expired_record_creates_nothing<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    let next = sample_revision_of(&record, "{}");
    cx.created(&key, &record, SHORT).await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    is_absent(&cx.conflict(&key, record.revision(), &next, LONG).await?)?;
    cx.holds_nothing(&key).await
}

pub(super) async fn touch_of_an_expired_record_creates_nothing<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    cx.created(&key, &record, SHORT).await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    let touched = cx.touch(&key, record.revision(), LONG).await?;
    ensure!(!touched, "touch found a record that has expired");
    cx.holds_nothing(&key).await
}

pub(super) async fn create_overwrites_an_expired_record<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, expired, record) = (sample_key(), sample_record("{}"), sample_record("{}"));
    cx.created(&key, &expired, SHORT).await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.created(&key, &record, LONG).await?;
    cx.holds(&key, &record).await.map(drop)
}

pub(super) async fn the_remaining_time_is_the_ttl_minus_the_time_passed<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let near = |remaining: Duration, expected: Duration| {
        ensure!(
            remaining <= expected && remaining + SLACK >= expected,
            "{remaining:?} remain, not {expected:?}"
        );
        Ok(())
    };
    let (key, first) = (sample_key(), sample_record("{}"));
    let second = sample_revision_of(&first, "{}");
    cx.created(&key, &first, LONG).await?;
    near(cx.holds(&key, &first).await?, LONG)?;
    cx.pass(SHORT).await?;
    near(cx.holds(&key, &first).await?, LONG - SHORT)?;
    cx.replaced(&key, first.revision(), &second, LONG * 3)
        .await?;
    near(cx.holds(&key, &second).await?, LONG * 3)?;
    cx.touch(&key, second.revision(), LONG * 2).await?;
    near(cx.holds(&key, &second).await?, LONG * 2)
}

pub(super) async fn replace_makes_the_lifetime_longer<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, first) = (sample_key(), sample_record("{}"));
    let second = sample_revision_of(&first, "{}");
    cx.created(&key, &first, SHORT).await?;
    cx.replaced(&key, first.revision(), &second, LONG).await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.holds(&key, &second).await.map(drop)
}

pub(super) async fn replace_makes_the_lifetime_shorter<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, first) = (sample_key(), sample_record("{}"));
    let second = sample_revision_of(&first, "{}");
    cx.created(&key, &first, LONG).await?;
    cx.replaced(&key, first.revision(), &second, SHORT).await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.holds_nothing(&key).await
}

/// The write of a request that is no activity. It does not know of the touch, which leaves the revision as it is.
pub(super) async fn replace_keeps_the_expiry_that_a_touch_has_set<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let first = sample_record("{}");
    let second = sample_revision_of(&first, "{}").keeping_expiry();
    for (known, touched) in [(SHORT, LONG), (LONG, SHORT)] {
        let key = sample_key();
        cx.created(&key, &first, known).await?;
        let found = cx.touch(&key, first.revision(), touched).await?;
        ensure!(found, "touch did not find the current revision");
        cx.replaced(&key, first.revision(), &second, known).await?;
        cx.pass(LONGER_THAN_SHORT).await?;
        if touched == SHORT {
            cx.holds_nothing(&key).await?;
            continue;
        }
        let remaining = cx.holds(&key, &second).await?;
        ensure!(
            remaining <= touched && remaining + SLACK >= touched,
            "{remaining:?} remain, not {touched:?}"
        );
    }
    Ok(())
}

pub(super) async fn touch_makes_the_lifetime_longer<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    cx.created(&key, &record, SHORT).await?;
    let touched = cx.touch(&key, record.revision(), LONG).await?;
    ensure!(touched, "touch did not find the current revision");
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.holds(&key, &record).await.map(drop)
}

pub(super) async fn touch_makes_the_lifetime_shorter<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    cx.created(&key, &record, LONG).await?;
    let touched = cx.touch(&key, record.revision(), SHORT).await?;
    ensure!(touched, "touch did not find the current revision");
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.holds_nothing(&key).await
}

pub(super) async fn a_conflict_leaves_the_expiry_alone<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, first) = (sample_key(), sample_record("{}"));
    let second = sample_revision_of(&first, "{}");
    let rival = sample_revision_of(&first, "{}");
    cx.created(&key, &first, LONG).await?;
    cx.replaced(&key, first.revision(), &second, LONG).await?;
    cx.conflict(&key, first.revision(), &rival, SHORT).await?;
    // A repeated replace changes nothing: the expiry that a touch may have set in between must stay.
    cx.replaced(&key, first.revision(), &second, SHORT).await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.holds(&key, &second).await.map(drop)
}

pub(super) async fn lifetimes_are_not_rounded_to_seconds<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (half, one_and_a_half) = (Duration::from_millis(500), Duration::from_millis(1500));
    let (down, up) = (sample_key(), sample_key());
    let record = sample_record("{}");
    let created = Instant::now();
    cx.created(&down, &record, one_and_a_half).await?;
    cx.created(&up, &record, half).await?;
    let past_half = half + Duration::from_millis(150);
    // The time that a harness lets pass without the system's clock.
    let mut simulated = Duration::ZERO;
    let mut pass = async |time: Duration| {
        let start = Instant::now();
        cx.pass(time).await?;
        simulated += time.saturating_sub(start.elapsed());
        Ok::<_, Stop>(())
    };
    pass(past_half).await?;
    cx.holds_nothing(&up).await?;
    pass(half).await?;
    let loaded = cx.load(&down).await?;
    // If the machine paused for longer than the lifetime, the record may have expired.
    if created.elapsed() + simulated < one_and_a_half {
        super::context::is_record(&loaded, &record)?;
    }
    cx.pass(half).await?;
    cx.holds_nothing(&down).await
}

pub(super) async fn very_long_lifetimes_are_kept<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let year = 400 * DAY;
    for ttl in [
        year,
        Duration::from_secs(u64::from(u32::MAX)),
        Duration::MAX,
    ] {
        let (key, first) = (sample_key(), sample_record("{}"));
        let second = sample_revision_of(&first, "{}");
        let long_enough = |remaining: Duration| {
            ensure!(
                remaining + SLACK >= year && remaining <= ttl,
                "{remaining:?} remain of {ttl:?}"
            );
            Ok(())
        };
        cx.created(&key, &first, ttl).await?;
        long_enough(cx.holds(&key, &first).await?)?;
        cx.replaced(&key, first.revision(), &second, ttl).await?;
        long_enough(cx.holds(&key, &second).await?)?;
        let touched = cx.touch(&key, second.revision(), ttl).await?;
        ensure!(touched, "touch did not find the current revision");
        long_enough(cx.holds(&key, &second).await?)?;
    }
    Ok(())
}

/// A store may refuse such a lifetime. But zero must not become "without expiry", as it does in some interfaces.
pub(super) async fn a_lifetime_of_zero_is_not_for_ever<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    for ttl in [Duration::ZERO, Duration::from_nanos(1)] {
        let first = sample_record("{}");
        let second = sample_revision_of(&first, "{}");
        let (created, replaced, touched) = (sample_key(), sample_key(), sample_key());
        cx.created(&replaced, &first, SHORT).await?;
        cx.created(&touched, &first, SHORT).await?;
        let store = &cx.store;
        store.create(&created, &first.write(ttl)).await.ok();
        store
            .replace(&replaced, first.revision(), &second.write(ttl))
            .await
            .ok();
        store
            .touch(&touched, first.revision(), ttl, None)
            .await
            .ok();
        cx.pass(LONGER_THAN_SHORT).await?;
        for key in [&created, &replaced, &touched] {
            cx.holds_nothing(key).await?;
        }
    }
    Ok(())
}
