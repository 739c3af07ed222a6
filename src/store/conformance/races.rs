//! Calls at the same time, and calls that nobody waits for.

use std::pin::{Pin, pin};
use std::task::Poll;

use super::cases::{LONG, ensure, failed, is_record, is_tombstone, together};
use super::{
    Context, Harness, Verdict, answer, load, replace, sample_key, sample_record, sample_revision_of,
};
use crate::store::{Created, Loaded, Record, Replaced, SessionStore};

const TASKS: usize = 12;
const ROUNDS: usize = 8;

pub(super) async fn of_concurrent_creates_exactly_one_wins<H: Harness>(
    cx: &Context<'_, H>,
) -> Verdict {
    for _ in 0..ROUNDS {
        let key = sample_key();
        let answers = together((0..TASKS).map(|task| {
            let (store, key) = (cx.store.clone(), key.clone());
            async move {
                let record = sample_record(&format!("{{\"task\":{task}}}"));
                let created = answer("create", store.create(&key, &record, LONG)).await?;
                Ok((created, record))
            }
        }));
        let answers = answers.await?;
        let winners = answers
            .iter()
            .filter(|(created, _)| *created == Created::Created);
        let winners: Vec<_> = winners.map(|(_, record)| record).collect();
        let [winner] = *winners else {
            return failed(format!(
                "{} of {TASKS} created the same record",
                winners.len()
            ));
        };
        cx.holds(&key, winner).await?;
    }
    Ok(())
}

pub(super) async fn of_concurrent_replaces_exactly_one_wins<H: Harness>(
    cx: &Context<'_, H>,
) -> Verdict {
    for _ in 0..ROUNDS {
        let (key, first) = (sample_key(), sample_record("{}"));
        cx.created(&key, &first, LONG).await?;
        let answers = together((0..TASKS).map(|task| {
            let (store, key, first) = (cx.store.clone(), key.clone(), first.clone());
            async move {
                let record = sample_revision_of(&first, &format!("{{\"task\":{task}}}"));
                let replaced = replace(&store, &key, first.revision(), &record, LONG).await?;
                Ok((replaced, record))
            }
        }));
        let answers = answers.await?;
        let won = |replaced: &Replaced| matches!(replaced, Replaced::Replaced);
        let winners = answers.iter().filter(|(replaced, _)| won(replaced));
        let winners: Vec<_> = winners.map(|(_, record)| record).collect();
        let [winner] = *winners else {
            return failed(format!(
                "{} of {TASKS} replaced the same record",
                winners.len()
            ));
        };
        for (replaced, _) in &answers {
            if let Replaced::Conflict(with) = replaced {
                is_record(with, winner)?;
            }
        }
        cx.holds(&key, winner).await?;
    }
    Ok(())
}

pub(super) async fn no_write_is_lost_among_many<H: Harness>(cx: &Context<'_, H>) -> Verdict {
    let (key, first) = (sample_key(), sample_record(&counted(0)));
    cx.created(&key, &first, LONG).await?;
    let tasks = together((0..TASKS).map(|_| {
        let (store, key) = (cx.store.clone(), key.clone());
        async move {
            let mut loaded = load(&store, &key).await?;
            let mut written = 0;
            while written < ROUNDS {
                let Loaded::Record { record, .. } = loaded else {
                    return failed(format!("found {loaded:?} among the writes"));
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
    ensure!(count == written, "of {written} writes, {count} are there");
    Ok(())
}

fn counted(count: usize) -> String {
    format!("{{\"count\":{count}}}")
}

fn count(record: &Record) -> Verdict<usize> {
    let digits = record.json().trim_matches(|c: char| !c.is_ascii_digit());
    digits
        .parse()
        .or_else(|_| failed(format!("{} is no count", record.json())))
}

pub(super) async fn a_deleted_session_stays_deleted_whatever_else_happens<H: Harness>(
    cx: &Context<'_, H>,
) -> Verdict {
    for _ in 0..ROUNDS {
        let (key, first) = (sample_key(), sample_record("{}"));
        cx.created(&key, &first, LONG).await?;
        let tasks = together((0..TASKS).map(|task| {
            let (store, key, first) = (cx.store.clone(), key.clone(), first.clone());
            async move {
                let mut record = first;
                for round in 0..ROUNDS {
                    if task == 0 && round == ROUNDS / 2 {
                        answer("delete", store.delete(&key, None)).await?;
                    }
                    if task == 0 && round >= ROUNDS / 2 {
                        is_tombstone(&load(&store, &key).await?)?;
                    }
                    if task % 2 == 0 {
                        answer("touch", store.touch(&key, record.revision(), LONG, None)).await?;
                    }
                    let next = sample_revision_of(&record, "{}");
                    record = match replace(&store, &key, record.revision(), &next, LONG).await? {
                        Replaced::Replaced => next,
                        Replaced::Conflict(Loaded::Record { record, .. }) => record,
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

/// Polls a call once, as if its client hung up right then; says whether it had come to its end.
pub(super) async fn poll_once<F: Future>(call: F) -> bool {
    let mut call = pin!(call);
    std::future::poll_fn(|task| Poll::Ready(Pin::as_mut(&mut call).poll(task).is_ready())).await
}

pub(super) async fn a_dropped_call_leaves_the_next_one_its_own_answer<H: Harness>(
    cx: &Context<'_, H>,
) -> Verdict {
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
) -> Verdict {
    for _ in 0..ROUNDS {
        let (key, first) = (sample_key(), sample_record("{}"));
        poll_once(cx.store.create(&key, &first, LONG)).await;
        // Whichever it was, the record is there after one more.
        cx.create(&key, &first, LONG).await?;
        cx.holds(&key, &first).await?;

        let dropped = sample_revision_of(&first, r#"{"by":"dropped"}"#);
        let second = sample_revision_of(&first, r#"{"by":"second"}"#);
        let finished = poll_once(cx.store.replace(&key, first.revision(), &dropped, LONG)).await;
        let current = match cx.replace(&key, first.revision(), &second, LONG).await? {
            Replaced::Replaced if finished => {
                return failed("a second replace at the same revision succeeded");
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
