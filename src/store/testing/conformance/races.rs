//! Concurrent calls, and calls that are dropped.

use std::pin::{Pin, pin};
use std::task::Poll;

use super::context::{
    Context, LONG, ensure, failed, is_record, is_tombstone, load, must_succeed, replace,
    run_together,
};
use super::harness::Harness;
use super::report::CaseResult;
use super::sample::{sample_key, sample_record, sample_revision_of};
use crate::store::{Created, Loaded, Record, Replaced, SessionStore};

const TASKS: usize = 12;
const ROUNDS: usize = 8;

pub(super) async fn exactly_one_of_concurrent_creates_wins<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let key = sample_key();
        let results = run_together((0..TASKS).map(|task| {
            let (store, key) = (cx.store.clone(), key.clone());
            async move {
                let record = sample_record(&format!("{{\"task\":{task}}}"));
                let created =
                    must_succeed("create", store.create(&key, &record.write(LONG))).await?;
                Ok((created, record))
            }
        }));
        let results = results.await?;
        let winners = results
            .iter()
            .filter(|(created, _)| *created == Created::Created);
        let winners: Vec<_> = winners.map(|(_, record)| record).collect();
        let [winner] = *winners else {
            return failed(format!(
                "{} of {TASKS} tasks created the same record",
                winners.len()
            ));
        };
        cx.holds(&key, winner).await?;
    }
    Ok(())
}

pub(super) async fn exactly_one_of_concurrent_replaces_wins<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let (key, first) = (sample_key(), sample_record("{}"));
        cx.created(&key, &first, LONG).await?;
        let results = run_together((0..TASKS).map(|task| {
            let (store, key, first) = (cx.store.clone(), key.clone(), first.clone());
            async move {
                let record = sample_revision_of(&first, &format!("{{\"task\":{task}}}"));
                let replaced = replace(&store, &key, first.revision(), &record, LONG).await?;
                Ok((replaced, record))
            }
        }));
        let results = results.await?;
        let won = |replaced: &Replaced| matches!(replaced, Replaced::Replaced);
        let winners = results.iter().filter(|(replaced, _)| won(replaced));
        let winners: Vec<_> = winners.map(|(_, record)| record).collect();
        let [winner] = *winners else {
            return failed(format!(
                "{} of {TASKS} tasks replaced the same revision",
                winners.len()
            ));
        };
        for (replaced, _) in &results {
            if let Replaced::Conflict(with) = replaced {
                is_record(with, winner)?;
            }
        }
        cx.holds(&key, winner).await?;
    }
    Ok(())
}

pub(super) async fn no_write_is_lost_among_many<H: Harness>(cx: &Context<'_, H>) -> CaseResult {
    let (key, first) = (sample_key(), sample_record(&counted(0)));
    cx.created(&key, &first, LONG).await?;
    let tasks = run_together((0..TASKS).map(|_| {
        let (store, key) = (cx.store.clone(), key.clone());
        async move {
            let mut loaded = load(&store, &key).await?;
            let mut written = 0;
            while written < ROUNDS {
                let Loaded::Record { record, .. } = loaded else {
                    return failed(format!("found {loaded:?} between the writes"));
                };
                let next = sample_revision_of(&record, &counted(count(&record)? + 1));
                loaded = match replace(&store, &key, record.revision(), &next, LONG).await? {
                    Replaced::Conflict(with) => with,
                    Replaced::Replaced => {
                        written += 1;
                        load(&store, &key).await?
                    }
                };
            }
            Ok(())
        }
    }));
    tasks.await?;
    let Loaded::Record { record, .. } = cx.load(&key).await? else {
        return failed("the record is gone");
    };
    let (count, written) = (count(&record)?, TASKS * ROUNDS);
    ensure!(
        count == written,
        "the record counts {count} of {written} writes"
    );
    Ok(())
}

fn counted(count: usize) -> String {
    format!("{{\"count\":{count}}}")
}

fn count(record: &Record) -> CaseResult<usize> {
    let digits = record.json().trim_matches(|c: char| !c.is_ascii_digit());
    digits
        .parse()
        .or_else(|_| failed(format!("{} is not a count", record.json())))
}

pub(super) async fn a_deleted_session_stays_deleted_whatever_else_happens<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let (key, first) = (sample_key(), sample_record("{}"));
        cx.created(&key, &first, LONG).await?;
        let tasks = run_together((0..TASKS).map(|task| {
            let (store, key, first) = (cx.store.clone(), key.clone(), first.clone());
            async move {
                let mut record = first;
                for round in 0..ROUNDS {
                    if task == 0 && round == ROUNDS / 2 {
                        must_succeed("delete", store.delete(&key, None)).await?;
                    }
                    if task == 0 && round >= ROUNDS / 2 {
                        is_tombstone(&load(&store, &key).await?)?;
                    }
                    if task % 2 == 0 {
                        must_succeed("touch", store.touch(&key, record.revision(), LONG, None))
                            .await?;
                    }
                    let next = sample_revision_of(&record, "{}");
                    record = match replace(&store, &key, record.revision(), &next, LONG).await? {
                        Replaced::Replaced => next,
                        Replaced::Conflict(Loaded::Record { record, .. }) => record.into(),
                        Replaced::Conflict(_) => record,
                    };
                }
                Ok(())
            }
        }));
        tasks.await?;
        cx.holds_a_tombstone(&key).await?;
    }
    Ok(())
}

/// Polls a call once and drops it, as if its client hung up at that moment. Returns whether the call was complete.
pub(super) async fn poll_once<F: Future>(call: F) -> bool {
    let mut call = pin!(call);
    std::future::poll_fn(|task| Poll::Ready(Pin::as_mut(&mut call).poll(task).is_ready())).await
}

pub(super) async fn the_call_after_a_dropped_one_gets_its_own_reply<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    let (one, other, absent) = (sample_key(), sample_key(), sample_key());
    let (record, rival) = (sample_record(r#"{"n":1}"#), sample_record(r#"{"n":2}"#));
    cx.created(&one, &record, LONG).await?;
    cx.created(&other, &rival, LONG).await?;
    for _ in 0..ROUNDS {
        for _ in 0..3 {
            poll_once(cx.store.load(&one)).await;
        }
        cx.holds(&other, &rival).await?;
        poll_once(cx.store.touch(&other, record.revision(), LONG, None)).await;
        poll_once(cx.store.load(&other)).await;
        cx.holds_nothing(&absent).await?;
        poll_once(cx.store.load(&absent)).await;
        cx.holds(&one, &record).await?;
    }
    Ok(())
}

pub(super) async fn a_dropped_write_was_made_or_was_not<H: Harness>(
    cx: &Context<'_, H>,
) -> CaseResult {
    for _ in 0..ROUNDS {
        let (key, first) = (sample_key(), sample_record("{}"));
        poll_once(cx.store.create(&key, &first.write(LONG))).await;
        // Whether the dropped create was made or not, the record is stored after one more.
        cx.create(&key, &first, LONG).await?;
        cx.holds(&key, &first).await?;

        let dropped = sample_revision_of(&first, r#"{"by":"dropped"}"#);
        let second = sample_revision_of(&first, r#"{"by":"second"}"#);
        let finished = poll_once(
            cx.store
                .replace(&key, first.revision(), &dropped.write(LONG)),
        )
        .await;
        let current = match cx.replace(&key, first.revision(), &second, LONG).await? {
            Replaced::Replaced if finished => {
                return failed("a second replace of the same revision succeeded");
            }
            Replaced::Replaced => second,
            Replaced::Conflict(with) => {
                is_record(&with, &dropped)?;
                dropped
            }
        };
        cx.holds(&key, &current).await?;

        poll_once(cx.store.touch(&key, current.revision(), LONG, None)).await;
        cx.holds(&key, &current).await?;
        poll_once(cx.store.delete(&key, None)).await;
        match cx.load(&key).await? {
            Loaded::Tombstone => {}
            loaded => is_record(&loaded, &current).map(drop)?,
        }
        cx.delete(&key).await?;
        cx.holds_a_tombstone(&key).await?;
    }
    Ok(())
}
