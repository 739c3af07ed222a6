//! The conditions of a measurement.

use std::collections::BTreeMap;
use std::process::Command;

/// The compiler, the processor, the system, and the versions of these programs.
pub fn with(programs: &[&str]) -> BTreeMap<String, String> {
    let mut conditions = BTreeMap::from([
        ("rustc".to_owned(), first_line("rustc", &["--version"])),
        ("system".to_owned(), first_line("uname", &["-srm"])),
        ("processor".to_owned(), processor()),
    ]);
    for program in programs {
        let flag = if *program == "wrk" { "-v" } else { "--version" };
        conditions.insert((*program).to_owned(), first_line(program, &[flag]));
    }
    conditions
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.map(|output| [output.stdout, output.stderr].concat());
    let text = output.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!(
        "{} ({cores} cores)",
        name.unwrap_or_else(|| "unknown".to_owned())
    )
}
