//! Child processes that cannot outlive their test.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// What a process printed so far, both streams, line by line.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

impl Log {
    /// All of it.
    pub fn text(&self) -> String {
        self.0
            .lock()
            .expect("no panic while a line is added")
            .clone()
    }

    fn follow(&self, stream: impl Read + Send + 'static) {
        let log = self.0.clone();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stream);
            let mut line = Vec::new();
            while let Ok(1..) = lines.read_until(b'\n', &mut line) {
                log.lock()
                    .expect("no panic while a line is added")
                    .push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
    }
}

/// A running child. Dropping it kills it and waits for it; after a panic its log is printed.
pub struct Process {
    name: String,
    child: Child,
    /// What it printed.
    pub log: Log,
}

impl Process {
    /// Starts it with no input and both outputs kept.
    pub fn start(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}: {}", command.get_program().display()))?;
        let log = Log::default();
        log.follow(child.stdout.take().context("stdout is piped")?);
        log.follow(child.stderr.take().context("stderr is piped")?);
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `find` finds something in the log.
    ///
    /// # Errors
    /// When the process ends or the time is over before.
    pub async fn wait_for<T>(
        &mut self,
        within: Duration,
        what: &str,
        find: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + within;
        loop {
            // Asked first: what it printed before it ended counts.
            let ended = self.child.try_wait()?;
            let text = self.log.text();
            if let Some(found) = find(&text) {
                return Ok(found);
            }
            if let Some(status) = ended {
                bail!(
                    "{} ended ({status}) before {what}; it printed:\n{text}",
                    self.name
                );
            }
            if Instant::now() > end {
                bail!(
                    "{}: {what} did not come within {within:?}; it printed:\n{text}",
                    self.name
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`: no destructor, no flush.
    pub fn kill(&mut self) {
        // It may be dead already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, as a service manager does, and waits.
    ///
    /// # Errors
    /// When it does not end in time. It is then killed.
    pub async fn terminate(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > end {
                self.kill();
                bail!(
                    "{} did not end within {within:?} of SIGTERM; it printed:\n{}",
                    self.name,
                    self.log.text()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            println!("---- {} printed ----\n{}", self.name, self.log.text());
        }
    }
}
