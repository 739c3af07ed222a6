//! Unconfirmed sessions, and what a full store does with them.

use super::context::{Context, LONG, ensure, failed};
use super::harness::Harness;
use super::report::{CaseResult, Report, outcome_of};
use super::sample::{sample_anonymous, sample_key, sample_record, sample_revision_of};
use crate::store::{Created, Loaded, RecordKey};

/// More sessions than a small store has room for, each with two kilobytes of data, for a store that counts bytes.
const FLOOD: usize = 3_000;
const DATA: usize = 2_000;

pub(super) async fn an_unconfirmed_session_is_confirmed_by_a_touch_and_by_a_write<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (touched, written, kept) = (sample_key(), sample_key(), sample_key());
    let new = sample_anonymous().unconfirmed();
    for key in [&touched, &written, &kept] {
        cx.created(key, &new, LONG).await?;
        cx.holds(key, &new).await?;
    }
    let found = cx.touch(&touched, new.revision(), LONG).await?;
    ensure!(found, "touch did not find the current revision");
    let next = sample_revision_of(&new, "{}");
    cx.replaced(&written, new.revision(), &next, LONG).await?;
    let next = sample_revision_of(&new, "{}").keeping_expiry();
    cx.replaced(&kept, new.revision(), &next, LONG).await?;
    for (key, how) in [
        (&touched, "touch"),
        (&written, "replace"),
        (&kept, "replace that keeps the expiry"),
    ] {
        let Loaded::Record { unconfirmed, .. } = cx.load(key).await? else {
            return failed("the record is gone");
        };
        // The layer would touch it with every request.
        ensure!(!unconfirmed, "a {how} did not confirm the session");
    }
    Ok(())
}

/// Floods a store of this harness with unconfirmed sessions, and checks that it keeps every other session, and takes new ones.
/// See [A full store](crate::store#a-full-store).
///
/// The stores of the harness must be small: with room for ten records at least, and for a thousand of two kilobytes at most.
pub async fn full_store_suite<H: Harness>(harness: &H) -> Report {
    let context = Context {
        store: harness.store().await,
        harness,
    };
    let outcome = outcome_of(a_full_store_evicts_unconfirmed_sessions_only(&context)).await;
    Report {
        results: vec![("a_full_store_evicts_unconfirmed_sessions_only", outcome)],
    }
}

async fn a_full_store_evicts_unconfirmed_sessions_only<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (touched, written, users) = (sample_key(), sample_key(), sample_key());
    let (new, user) = (sample_anonymous().unconfirmed(), sample_record("{}"));
    for key in [&touched, &written] {
        cx.created(key, &new, LONG).await?;
    }
    cx.touch(&touched, new.revision(), LONG).await?;
    let next = sample_revision_of(&new, "{}");
    cx.replaced(&written, new.revision(), &next, LONG).await?;
    cx.created(&users, &user, LONG).await?;

    let flood: Vec<RecordKey> = (0..FLOOD).map(|_| sample_key()).collect();
    let data = format!(r#"{{"data":"{}"}}"#, "x".repeat(DATA));
    for key in &flood {
        let unused = sample_revision_of(&sample_anonymous(), &data).unconfirmed();
        match cx.create(key, &unused, LONG).await? {
            Created::Created => {}
            Created::Exists => return failed("create returned Exists, but there was no record"),
        }
    }
    cx.holds(&touched, &new).await?;
    cx.holds(&written, &next).await?;
    cx.holds(&users, &user).await?;
    cx.created(&sample_key(), &user, LONG).await?;
    // A client's next request comes within moments. The oldest one is the one that most likely has none.
    if let [first, .., last] = &flood[..] {
        cx.holds_nothing(first).await?;
        ensure!(
            matches!(cx.load(last).await?, Loaded::Record { .. }),
            "the newest session was evicted"
        );
    }
    Ok(())
}
