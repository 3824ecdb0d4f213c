//! Where the demo is shown: a table that is redrawn in place on a terminal, one line a second elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// How long a picture stays on a terminal.
const ALIVE: Duration = Duration::from_millis(200);

/// How long it stays anywhere else.
const PLAIN: Duration = Duration::from_secs(1);

/// How a demo stands at one moment, in columns that fit a terminal of 80.
pub trait Picture {
    /// The headings of the columns of [`Picture::line`].
    const HEADINGS: &'static str;

    /// All of it, for a terminal and for the end.
    fn table(&self) -> String;

    /// The totals at `second`, in one line.
    fn line(&self, second: u64) -> String;
}

/// Standard output, or what stands for it.
#[derive(Debug)]
pub struct Screen<W> {
    out: W,
    /// Whether it understands a terminal's codes.
    alive: bool,
    /// Lines of the table that the next one replaces.
    drawn: usize,
    /// When the next picture is due.
    next: Duration,
    /// Whether the lines have had their headings.
    headed: bool,
}

impl Screen<io::Stdout> {
    /// Standard output; a terminal that calls itself `dumb` is written to line by line.
    pub fn stdout() -> Self {
        let out = io::stdout();
        let is_dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
        let alive = out.is_terminal() && !is_dumb;
        Self::new(out, alive)
    }
}

impl<W: Write> Screen<W> {
    /// Writes to `out`; `alive` says that it understands a terminal's codes.
    pub fn new(out: W, alive: bool) -> Self {
        let next = if alive { Duration::ZERO } else { PLAIN };
        Self {
            out,
            alive,
            drawn: 0,
            next,
            headed: false,
        }
    }

    /// Writes text that stays, above the table.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.replace(text, false)
    }

    /// Tells an event that happened at `now`.
    pub fn announce(&mut self, now: Duration, event: &str) -> io::Result<()> {
        let time = now.as_millis() / 100;
        let (seconds, tenths) = (time / 10, time % 10);
        let time = match tenths {
            0 => format!("t={seconds}s"),
            _ => format!("t={seconds}.{tenths}s"),
        };
        // On a terminal the table is drawn anew below it at once, not at its next time.
        if self.alive {
            self.next = now;
        }
        self.say(&format!("{time:<7}{event}\n"))
    }

    /// Whether it is time for a picture.
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.next
    }

    /// Shows how things are at `now`.
    pub fn show<P: Picture>(&mut self, now: Duration, picture: &P) -> io::Result<()> {
        if self.alive {
            self.next = now + ALIVE;
            return self.replace(&format!("\n{}", picture.table()), true);
        }
        self.next += PLAIN;
        if !std::mem::replace(&mut self.headed, true) {
            self.say(&format!("{}\n", P::HEADINGS))?;
        }
        self.say(&format!("{}\n", picture.line(now.as_secs())))
    }

    /// Shows how things were at the end: the table, which stays.
    pub fn conclude(&mut self, picture: &impl Picture) -> io::Result<()> {
        self.say(&format!("\n{}\n", picture.table()))
    }

    /// Writes over the table, if there is one, in one go.
    fn replace(&mut self, text: &str, passing: bool) -> io::Result<()> {
        let mut bytes = String::new();
        if self.drawn > 0 {
            // Up to the table's first line, and clear from there.
            bytes = format!("\x1b[{}A\x1b[J", self.drawn);
        }
        bytes.push_str(text);
        self.drawn = if passing { text.lines().count() } else { 0 };
        let written = self.out.write_all(bytes.as_bytes());
        match written.and_then(|()| self.out.flush()) {
            // A reader that has read enough changes nothing: the demo plays on and says how it ended by its status.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}
