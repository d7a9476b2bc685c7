//! Whether our key may do anything on a backend, or nothing but ping. Asked by who examines, never in a round.

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout_at;

use super::{Login, REPORT_GRACE, Ssh, hung, silence};
use crate::model::{Silence, SilenceReason, printable};

/// What is read of the answer: a banner, and one line.
const CAP: usize = 16 * 1024;

/// How much of what a backend said is shown.
const SHOWN: usize = 120;

/// What our key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyMay {
    /// Run any command: there is no forced one.
    Anything,
    /// Nothing but what it is forced to; what that said of our harmless request.
    OnlyWhatIsForced(String),
}

/// Whether the command was run as given: its word stands on a line of its own.
fn read(word: &str, output: &[u8]) -> KeyMay {
    let text = String::from_utf8_lossy(output);
    if text.lines().any(|line| line.trim_end() == word) {
        return KeyMay::Anything;
    }
    let said = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
    KeyMay::OnlyWhatIsForced(printable(said, SHOWN))
}

impl Ssh {
    /// Asks a backend to print a random word, which a key restricted by the line of `print authorized-key` may not.
    ///
    /// # Errors
    /// The session broke, or nothing was said in time.
    pub async fn key_may(&self, login: &Login) -> Result<KeyMay, Silence> {
        // The semaphore is never closed.
        let _turn = self.commands.acquire().await;
        let word = format!("natwatch-{:016x}", rand::random::<u64>());
        let (asked, mut child, _alone) = login.start(&format!("echo {word}"), REPORT_GRACE).await?;
        let mut stdout = child.stdout().take().ok_or_else(|| silence(SilenceReason::Other, "no output to read"))?;
        let mut output = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read_now = timeout_at(asked + REPORT_GRACE, stdout.read(&mut piece)).await.map_err(|_| hung())?;
            let length = read_now.map_err(|error| silence(SilenceReason::Disconnected, &error.to_string()))?;
            output.extend_from_slice(&piece[..length]);
            let may = read(&word, &output);
            if length == 0 || output.len() >= CAP || may == KeyMay::Anything {
                return Ok(may);
            }
        }
    }

    /// Ends one session, while others go on.
    pub async fn leave(&self, login: Login) {
        let Login { mux, master, .. } = login;
        let _ = tokio::time::timeout(super::CLOSING, mux.close()).await;
        // Where it did not say good-bye, this ends it.
        drop(master);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f037_a_key_that_runs_what_it_is_asked_to_is_not_restricted_whatever_is_printed_besides() {
        let only = |said: &str| KeyMay::OnlyWhatIsForced(said.to_owned());
        for (output, expected) in [
            ("natwatch-1\n", KeyMay::Anything),
            ("Welcome!\r\nnatwatch-1\r\n", KeyMay::Anything),
            ("natwatch: this key may only ping\n", only("natwatch: this key may only ping")),
            ("echo natwatch-1 is not allowed\n", only("echo natwatch-1 is not allowed")),
            ("\x1b[31m\n", only("\\u{1b}[31m")),
            ("", only("nothing")),
        ] {
            assert_eq!(read("natwatch-1", output.as_bytes()), expected, "{output:?}");
        }
    }
}
