//! The audit log: every event as a line of JSON, in a file that is only appended to.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::diagnostics;
use super::kind::EventKind;
use super::observer::SessionObserver;
use super::session_event::SessionEvent;
use crate::sync;

/// An observer that writes every event as a line of JSON to a file. `docs/events.md` names the fields.
///
/// Use it for a record of logins, logouts and revocations apart from the program's log. It only ever appends to the file.
///
/// ```no_run
/// use tower_keycard::event::AuditLog;
/// use tower_keycard::{MemoryStore, SessionLayer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let log = AuditLog::open("/var/log/shop/sessions.jsonl")?;
/// let layer = SessionLayer::builder(MemoryStore::new()).observer(log).build()?;
/// # Ok(())
/// # }
/// ```
///
/// A new file is for its owner alone (mode 0600). An existing file keeps its mode. Several processes may write to one file.
/// Each line goes to the operating system at once. The file is not synced, so a power failure may lose the last lines.
///
/// A process that is killed may leave a line without its end. The next line, of whichever process, begins a line of its own. If
/// the log may not read the file, it cannot see how the file ends, and an empty line may precede the lines of this process.
///
/// To rotate the log, rename the file. At the next event the log sees that the path leads to another file or to none, and
/// opens the path again. It cannot see that outside of Unix: call [`reopen`](Self::reopen) there.
///
/// An event that cannot be written, for example because the disk is full, is counted and reported in the program's log. The
/// next line that can be written is the event `lost`, with the number of missing events. The log writes the same event if
/// the layer's queue was full.
///
/// Lines are plain ASCII, whatever a user's id or a client's description contains. Such a text can neither begin a line of its
/// own nor send a control character to a terminal.
#[derive(Clone)]
pub struct AuditLog {
    path: Arc<Path>,
    state: Arc<Mutex<State>>,
    every_request: bool,
}

#[derive(Default)]
struct State {
    lines: Option<Lines<File>>,
    /// The number of events that could not be written since the last one that was.
    missing: u64,
    errors: u64,
}

impl AuditLog {
    /// Opens the log, and creates the file if there is none.
    ///
    /// # Errors
    ///
    /// The file cannot be opened for writing.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let log = Self {
            path: path.into().into(),
            state: Arc::default(),
            every_request: false,
        };
        log.reopen()?;
        Ok(log)
    }

    /// Also writes one `resumed` for each request with a valid token.
    #[must_use]
    pub fn with_every_request(mut self) -> Self {
        self.every_request = true;
        self
    }

    /// Opens the path again. Call it after a rotation that the log cannot see. It is never needed on Unix.
    ///
    /// # Errors
    ///
    /// The file cannot be opened for writing. The log continues with the file that it has.
    pub fn reopen(&self) -> io::Result<()> {
        let lines = Lines::new(append_to(&self.path)?);
        self.state().lines = Some(lines);
        Ok(())
    }

    /// The number of events that could not be written.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.state().errors
    }

    fn state(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.state)
    }

    fn write(&self, state: &mut State, event: &SessionEvent) -> io::Result<()> {
        let lines = match &mut state.lines {
            Some(lines) if is_still_at(&lines.to, &self.path) => lines,
            _ => state.lines.insert(Lines::new(append_to(&self.path)?)),
        };
        lines.look_at_end(&self.path);
        if state.missing > 0 {
            let kind = EventKind::Lost {
                events: state.missing,
            };
            let lost = SessionEvent::new(kind, event.time, event.namespace.clone());
            lines.append(&line(&lost)?)?;
            diagnostics::audit_resumed(state.missing);
            state.missing = 0;
        }
        lines.append(&line(event)?)
    }
}

impl SessionObserver for AuditLog {
    fn observe(&self, event: &SessionEvent) {
        let mut state = self.state();
        if let Err(error) = self.write(&mut state, event) {
            if state.missing == 0 {
                diagnostics::audit_failed(&error);
            }
            state.missing += 1;
            state.errors += 1;
        }
    }

    fn every_request(&self) -> bool {
        self.every_request
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| {
        // The system's error does not name the file.
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    })
}

/// Whether the path still leads to this file.
#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), path.metadata()) {
        (Ok(here), Ok(there)) => (here.dev(), here.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still_at(_: &File, _: &Path) -> bool {
    true
}

/// Appends lines, and first ends a line that was cut short.
struct Lines<W> {
    to: W,
    torn: bool,
    /// The length of the file, unless another process has written to it.
    length: u64,
}

/// For how long a line without an end may be one that another process is still writing.
const WRITING: Duration = Duration::from_millis(100);

impl Lines<File> {
    /// If the file has grown otherwise than by these lines, finds out whether its last line was cut short.
    fn look_at_end(&mut self, path: &Path) {
        let regular = self.to.metadata().ok().filter(Metadata::is_file);
        let length = regular.map_or(0, |file| file.len());
        if length != self.length {
            self.torn = length > 0 && !ends_with_newline(path).unwrap_or(false);
            self.length = length;
        }
    }
}

/// Whether the last line of a file has its end, or gets it in a moment.
fn ends_with_newline(path: &Path) -> io::Result<bool> {
    let (mut file, mut last) = (File::open(path)?, [0]);
    let since = Instant::now();
    loop {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last == *b"\n" || since.elapsed() > WRITING {
            return Ok(last == *b"\n");
        }
        thread::sleep(WRITING / 100);
    }
}

impl<W: Write> Lines<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            torn: false,
            length: 0,
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.put(b"\n")?;
        }
        self.put(line)
    }

    /// Writes in one system call, if the system takes all bytes: lines of other processes come before or after them.
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.to.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.torn = bytes[written - 1] != b'\n';
                    self.length += written as u64;
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn line(event: &SessionEvent) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(256);
    event.serialize(&mut Serializer::with_formatter(&mut line, Ascii))?;
    line.push(b'\n');
    Ok(line)
}

/// Compact JSON in which every character beyond ASCII is escaped (RFC 8259, section 7), as control characters are anyway.
/// Terminals and viewers treat some of them as the end of a line, or as commands.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            if matches!(c, ' '..='~') {
                write!(to, "{c}")?;
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(to, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as many bytes as there is space for, then none until there is space again.
    #[derive(Default)]
    struct Full {
        taken: Vec<u8>,
        space: usize,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fits = bytes.len().min(self.space);
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.space -= fits;
            self.taken.extend_from_slice(&bytes[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing/audit.log");
        let error = AuditLog::open(&path).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("missing/audit.log"), "{error}");
    }

    #[test]
    fn a_line_that_was_cut_short_does_not_damage_the_next_one() {
        let mut lines = Lines::new(Full::default());
        for (space, written) in [(6, true), (3, false), (0, false), (0, false), (99, true)] {
            lines.to.space = space;
            assert_eq!(lines.append(b"whole\n").is_ok(), written);
        }
        assert_eq!(lines.to.taken, b"whole\nwho\nwhole\n");
    }

    #[test]
    fn a_line_that_was_not_begun_leaves_no_empty_line() {
        let mut lines = Lines::new(Full::default());
        assert!(lines.append(b"whole\n").is_err());
        lines.to.space = 99;
        lines.append(b"whole\n").unwrap();
        assert_eq!(lines.to.taken, b"whole\n");
    }
}
