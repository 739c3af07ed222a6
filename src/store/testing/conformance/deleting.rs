//! Delete, and the tombstones that it leaves.

use std::time::Duration;

use super::context::{Context, LONG, LONGER_THAN_SHORT, SHORT, ensure, is_tombstone};
use super::harness::Harness;
use super::report::CaseResult;
use super::sample::{sample_key, sample_record, sample_revision_of};
use crate::store::{Created, TOMBSTONE_LIFETIME};

pub(super) async fn delete_leaves_a_tombstone<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    cx.created(&key, &record, LONG).await?;
    cx.delete(&key).await?;
    cx.holds_a_tombstone(&key).await
}

pub(super) async fn delete_of_an_absent_record_leaves_a_tombstone<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let key = sample_key();
    cx.delete(&key).await?;
    cx.holds_a_tombstone(&key).await
}

pub(super) async fn a_second_delete_succeeds<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    cx.created(&key, &record, LONG).await?;
    cx.delete(&key).await?;
    cx.delete(&key).await?;
    cx.holds_a_tombstone(&key).await
}

pub(super) async fn create_never_overwrites_a_tombstone<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    cx.delete(&key).await?;
    let created = cx.create(&key, &record, LONG).await?;
    ensure!(created == Created::Exists, "create ignored a tombstone");
    cx.holds_a_tombstone(&key).await
}

pub(super) async fn replace_of_a_tombstone_creates_nothing<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    let next = sample_revision_of(&record, "{}");
    cx.created(&key, &record, LONG).await?;
    cx.delete(&key).await?;
    is_tombstone(&cx.conflict(&key, record.revision(), &next, LONG).await?)?;
    // A replace whose own revision was stored before the deletion is a conflict, too.
    is_tombstone(&cx.conflict(&key, record.revision(), &record, LONG).await?)?;
    cx.holds_a_tombstone(&key).await
}

pub(super) async fn touch_of_a_tombstone_creates_nothing<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    cx.created(&key, &record, LONG).await?;
    cx.delete(&key).await?;
    let touched = cx.touch(&key, record.revision(), LONG).await?;
    ensure!(!touched, "touch took a tombstone for a record");
    cx.holds_a_tombstone(&key).await
}

pub(super) async fn a_tombstone_outlasts_the_record_it_stands_for<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    cx.created(&key, &record, SHORT).await?;
    cx.delete(&key).await?;
    cx.pass(LONGER_THAN_SHORT).await?;
    cx.holds_a_tombstone(&key).await
}

pub(super) async fn a_tombstone_ends_after_its_lifetime<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, absent, record) = (sample_key(), sample_key(), sample_record("{}"));
    let margin = Duration::from_secs(5);
    cx.created(&key, &record, LONG).await?;
    cx.delete(&key).await?;
    cx.delete(&absent).await?;
    cx.pass(TOMBSTONE_LIFETIME - margin).await?;
    cx.holds_a_tombstone(&key).await?;
    cx.holds_a_tombstone(&absent).await?;
    cx.pass(margin + SHORT).await?;
    cx.holds_nothing(&key).await?;
    cx.holds_nothing(&absent).await?;
    // The key can be used again.
    cx.created(&key, &record, LONG).await?;
    cx.holds(&key, &record).await.map(drop)
}
