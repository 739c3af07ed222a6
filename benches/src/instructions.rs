//! Instructions per request, counted by [callgrind](https://valgrind.org/docs/manual/cl-manual.html).
//!
//! One process does the work a few times, and another does it many times. The difference, divided, is one request, including
//! axum and the driver, and without work that is done once. Only the process is counted, not the kernel.
//! The processor that valgrind emulates has no SHA instructions: a real one executes fewer instructions.

use std::error::Error;

use crate::figures::Figures;
use crate::subject::{Setting, Subject};
use crate::work::Work;
use crate::{callgrind, conditions};

const FEW: u64 = 500;
const MANY: u64 = 2500;

/// The instructions per request.
pub fn measure(subjects: &[Subject], works: &[Work]) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures {
        conditions: conditions::with(&["valgrind"]),
        ..Figures::default()
    };
    for subject in callgrind::countable(subjects) {
        for &work in works {
            let count = per_request(subject, work)?;
            eprintln!("{} {work}: {count:.0} instructions", subject.name);
            figures.record("instructions", subject.name, work, count);
        }
    }
    Ok(figures)
}

pub fn per_request(subject: &Subject, work: Work) -> Result<f64, Box<dyn Error>> {
    let difference = collected(subject, work, MANY)? - collected(subject, work, FEW)?;
    Ok(difference / (MANY - FEW) as f64)
}

fn collected(subject: &Subject, work: Work, times: u64) -> Result<f64, Box<dyn Error>> {
    let output = callgrind::count(subject, work, times, &["--callgrind-out-file=/dev/null"])?;
    let report = String::from_utf8_lossy(&output.stderr);
    let count = report
        .lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    count.ok_or_else(|| format!("callgrind counted nothing:\n{report}").into())
}

/// Does the work this many times: this is what callgrind counts.
pub async fn work(subject: &Subject, work: Work, times: u64) {
    let app = subject.open(Setting::new(work, "")).await;
    subject.visitor(&app, work).await.work(times).await;
}
