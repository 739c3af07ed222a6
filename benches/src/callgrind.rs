//! [callgrind](https://valgrind.org/docs/manual/cl-manual.html): a process of its own does the work, and is counted.

use std::error::Error;
use std::process::{Command, Output};

use crate::subject::{Place, Subject};
use crate::work::Work;

/// Those that need no server: another process's work is not counted.
pub fn countable(subjects: &[Subject]) -> impl Iterator<Item = &Subject> {
    let alone = |subject: &&Subject| subject.place != Place::Redis;
    subjects.iter().filter(alone)
}

/// Has the work done so many times; returns what valgrind said.
pub fn count(
    subject: &Subject,
    work: Work,
    times: u64,
    options: &[&str],
) -> Result<Output, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .args(options)
        .arg(std::env::current_exe()?)
        .args(["work", subject.name, &work.to_string(), &times.to_string()])
        .output()
        .map_err(|error| format!("cannot run valgrind ({error}): apt-get install valgrind"))?;
    if !output.status.success() {
        let report = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} {work}:\n{report}", subject.name).into());
    }
    Ok(output)
}
