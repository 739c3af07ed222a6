//! Time per request, in this process: in nanoseconds, and as a multiple of the time of the same framework without sessions.
//!
//! The subjects alternate in blocks of requests, so that other load on the machine affects all of them. No test depends on
//! these figures.

use std::time::{Duration, Instant};

use crate::conditions;
use crate::figures::Figures;
use crate::statistics::{median, median_ratio};
use crate::subject::{Place, Setting, Subject};
use crate::visitor::Visitor;
use crate::work::Work;

const BLOCKS: usize = 41;
const BLOCK: Duration = Duration::from_millis(6);

/// Measures the subjects that need no server.
pub async fn measure(subjects: &[Subject], works: &[Work]) -> Figures {
    let mut figures = Figures {
        conditions: conditions::with(&[]),
        ..Figures::default()
    };
    let subjects: Vec<_> = with_bare(subjects)
        .into_iter()
        .filter(|subject| subject.place != Place::Redis)
        .collect();
    for &work in works {
        let mut runs = Vec::new();
        for subject in &subjects {
            let app = subject.open(Setting::new(work, "")).await;
            let mut visitor = subject.visitor(&app, work).await;
            let times = block(&mut visitor).await;
            runs.push((visitor, times, Vec::new()));
        }
        for first in 0..BLOCKS {
            for next in 0..runs.len() {
                let place = (first + next) % runs.len();
                let (visitor, times, nanoseconds) = &mut runs[place];
                let start = Instant::now();
                visitor.work(*times).await;
                nanoseconds.push(start.elapsed().as_nanos() as f64 / *times as f64);
            }
        }
        for (subject, (.., nanoseconds)) in subjects.iter().zip(&runs) {
            let bare = subjects
                .iter()
                .position(|other| other.name == subject.bare)
                .expect("`with_bare` added it");
            let ratio = median_ratio(nanoseconds, &runs[bare].2);
            let nanoseconds = median(nanoseconds.clone());
            eprintln!("{} {work}: {nanoseconds:.0} ns, × {ratio:.2}", subject.name);
            figures.record("nanoseconds", subject.name, work, nanoseconds);
            figures.record("ratio", subject.name, work, ratio);
        }
    }
    figures
}

/// These subjects, and the subjects that they are compared with.
fn with_bare(subjects: &[Subject]) -> Vec<Subject> {
    let wanted = |one: &&Subject| {
        subjects
            .iter()
            .any(|subject| subject.name == one.name || subject.bare == one.name)
    };
    Subject::ALL.iter().filter(wanted).copied().collect()
}

/// How many requests take as long as a block, after a warm-up.
async fn block(visitor: &mut Visitor) -> u64 {
    let mut times = 64;
    loop {
        let start = Instant::now();
        visitor.work(times).await;
        if start.elapsed() >= BLOCK {
            return times;
        }
        times += times / 2;
    }
}
