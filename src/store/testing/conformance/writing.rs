//! Create, load, replace and touch, one call after another.

use super::context::{Context, LONG, ensure, is_absent, is_record};
use super::harness::Harness;
use super::report::CaseResult;
use super::sample::{sample_key, sample_record, sample_revision_of};
use crate::store::{Created, RecordKey, SessionStore};

pub(super) async fn an_absent_record_is_absent<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    cx.holds_nothing(&sample_key()).await
}

pub(super) async fn a_created_record_is_loaded_unchanged<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, record) = (sample_key(), sample_record(r#"{"cart":[1,2,3]}"#));
    cx.created(&key, &record, LONG).await?;
    // A load writes nothing: the second one finds the same record.
    cx.holds(&key, &record).await?;
    cx.holds(&key, &record).await.map(drop)
}

pub(super) async fn create_never_overwrites_a_record<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, first, second) = (sample_key(), sample_record("{}"), sample_record("{}"));
    cx.created(&key, &first, LONG).await?;
    for record in [&second, &first] {
        let created = cx.create(&key, record, LONG).await?;
        ensure!(
            created == Created::Exists,
            "a second create did not return Exists"
        );
        cx.holds(&key, &first).await?;
    }
    Ok(())
}

pub(super) async fn replace_stores_the_new_record<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let key = sample_key();
    let mut record = sample_record("{}");
    cx.created(&key, &record, LONG).await?;
    for count in 0..5 {
        let next = sample_revision_of(&record, &format!("{{\"count\":{count}}}"));
        cx.replaced(&key, record.revision(), &next, LONG).await?;
        cx.holds(&key, &next).await?;
        record = next;
    }
    Ok(())
}

pub(super) async fn replace_of_an_absent_record_creates_nothing<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, record) = (sample_key(), sample_record("{}"));
    let next = sample_revision_of(&record, "{}");
    is_absent(&cx.conflict(&key, record.revision(), &next, LONG).await?)?;
    // Not even if the expected revision is that of the new record.
    is_absent(&cx.conflict(&key, next.revision(), &next, LONG).await?)?;
    cx.holds_nothing(&key).await
}

pub(super) async fn replace_at_another_revision_is_a_conflict_with_the_current_record<
    H: Harness,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, first) = (sample_key(), sample_record("{}"));
    let second = sample_revision_of(&first, r#"{"by":"the one"}"#);
    let rival = sample_revision_of(&first, r#"{"by":"the other"}"#);
    cx.created(&key, &first, LONG).await?;
    cx.replaced(&key, first.revision(), &second, LONG).await?;
    for expected in [first.revision(), sample_record("{}").revision()] {
        let remaining = is_record(&cx.conflict(&key, expected, &rival, LONG).await?, &second)?;
        ensure!(
            remaining <= LONG && !remaining.is_zero(),
            "{remaining:?} remain of {LONG:?}"
        );
        cx.holds(&key, &second).await?;
    }
    // The loser can continue from the record that it got.
    let merged = sample_revision_of(&second, r#"{"by":"both"}"#);
    cx.replaced(&key, second.revision(), &merged, LONG).await?;
    cx.holds(&key, &merged).await.map(drop)
}

pub(super) async fn a_replace_sent_twice_has_succeeded_and_changes_nothing<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, first) = (sample_key(), sample_record("{}"));
    let second = sample_revision_of(&first, r#"{"n":2}"#);
    cx.created(&key, &first, LONG).await?;
    cx.replaced(&key, first.revision(), &second, LONG).await?;
    cx.replaced(&key, first.revision(), &second, LONG).await?;
    cx.holds(&key, &second).await.map(drop)
}

pub(super) async fn a_replace_sent_again_after_later_ones_has_succeeded_and_changes_nothing<
    H: Harness,
>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, first) = (sample_key(), sample_record("{}"));
    let mut written = vec![first.clone()];
    cx.created(&key, &first, LONG).await?;
    for count in 0..3 {
        let before = &written[count];
        let next = sample_revision_of(before, &format!("{{\"n\":{count}}}"));
        cx.replaced(&key, before.revision(), &next, LONG).await?;
        written.push(next);
    }
    let current = &written[3];
    // A record remembers the two revisions before its own.
    for count in [1, 2] {
        let (expected, again) = (written[count - 1].revision(), &written[count]);
        cx.replaced(&key, expected, again, LONG).await?;
        cx.holds(&key, current).await?;
    }
    // An older revision is unknown to it, so it may be that of another writer.
    is_record(
        &cx.conflict(&key, first.revision(), &first, LONG).await?,
        current,
    )?;
    cx.holds(&key, current).await.map(drop)
}

pub(super) async fn touch_never_changes_the_record<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let (key, record) = (sample_key(), sample_record(r#"{"n":1}"#));
    cx.created(&key, &record, LONG).await?;
    for ttl in [LONG, LONG * 2, LONG / 2] {
        let touched = cx.touch(&key, record.revision(), ttl).await?;
        ensure!(touched, "touch did not find the current revision");
        cx.holds(&key, &record).await?;
    }
    Ok(())
}

pub(super) async fn touch_at_another_revision_changes_nothing<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (key, first) = (sample_key(), sample_record("{}"));
    let second = sample_revision_of(&first, "{}");
    cx.created(&key, &first, LONG).await?;
    cx.replaced(&key, first.revision(), &second, LONG).await?;
    // Not even at a revision that the record remembers: another write has overtaken the caller.
    for revision in [first.revision(), sample_record("{}").revision()] {
        let touched = cx.touch(&key, revision, LONG * 10).await?;
        ensure!(!touched, "touch found a revision that is not current");
        let remaining = cx.holds(&key, &second).await?;
        ensure!(
            remaining <= LONG,
            "touch moved the expiry at a revision that is not current"
        );
    }
    Ok(())
}

pub(super) async fn touch_of_an_absent_record_creates_nothing<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let key = sample_key();
    let touched = cx.touch(&key, sample_record("{}").revision(), LONG).await?;
    ensure!(!touched, "touch found a record, but there is none");
    cx.holds_nothing(&key).await
}

pub(super) async fn namespaces_are_separate<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let id = sample_key().id();
    let names = [
        "id",
        "ID",
        "__Host-id",
        "id:",
        ":id",
        "{id}",
        "i*",
        "ид",
        "i d'\";--",
    ];
    let keys = names.map(|name| RecordKey::new(name, id));
    let records = names.map(|_| sample_record("{}"));
    for (key, record) in keys.iter().zip(&records) {
        cx.created(key, record, LONG).await?;
    }
    for (key, record) in keys.iter().zip(&records) {
        cx.holds(key, record).await?;
    }
    cx.delete(&keys[0]).await?;
    cx.holds_a_tombstone(&keys[0]).await?;
    for (key, record) in keys.iter().zip(&records).skip(1) {
        cx.holds(key, record).await?;
    }
    Ok(())
}

pub(super) async fn fresh_stores_are_separate<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let other = Context {
        store: cx.harness.store().await,
        harness: cx.harness,
    };
    let (key, here, there) = (sample_key(), sample_record("{}"), sample_record("{}"));
    cx.created(&key, &here, LONG).await?;
    other.holds_nothing(&key).await?;
    other.created(&key, &there, LONG).await?;
    cx.holds(&key, &here).await?;
    other.delete(&key).await?;
    cx.holds(&key, &here).await.map(drop)
}

pub(super) async fn clones_are_the_same_store<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let clone = Context {
        store: cx.store.clone(),
        harness: cx.harness,
    };
    let (key, first) = (sample_key(), sample_record("{}"));
    let second = sample_revision_of(&first, "{}");
    cx.created(&key, &first, LONG).await?;
    clone.holds(&key, &first).await?;
    clone
        .replaced(&key, first.revision(), &second, LONG)
        .await?;
    cx.holds(&key, &second).await?;
    drop(clone);
    cx.holds(&key, &second).await?;
    cx.store.clone().delete(&key, None).await.ok();
    cx.holds_a_tombstone(&key).await
}

pub(super) async fn the_prefix_is_stable_and_not_empty<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let prefix = cx.store.prefix().to_owned();
    ensure!(!prefix.is_empty(), "the prefix is empty");
    cx.created(&sample_key(), &sample_record("{}"), LONG)
        .await?;
    ensure!(cx.store.prefix() == prefix, "the prefix changed");
    ensure!(
        cx.store.clone().prefix() == prefix,
        "a clone has another prefix"
    );
    Ok(())
}
