//! Runs the work in a separate process under [callgrind](https://valgrind.org/docs/manual/cl-manual.html).

use std::error::Error;
use std::process::{Command, Output};

use crate::subject::{Place, Subject};
use crate::work::Work;

/// The subjects that need no server: callgrind does not count the work of another process.
pub fn countable(subjects: &[Subject]) -> impl Iterator<Item = &Subject> {
    let needs_no_server = |subject: &&Subject| subject.place != Place::Redis;
    subjects.iter().filter(needs_no_server)
}

/// Does the work this many times, and returns the output of valgrind.
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
