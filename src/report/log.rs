//! The log: events to stderr, one a line.
//!
//! Only natwatch's own events, at any verbosity: what the SDK logs may hold credentials and signed requests. Values go
//! through the same escaping as everything that is printed, so that an event is one line whatever is in it.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use crate::model::printable;

/// The longest value in an event: a chain of errors with paths fits.
const LONGEST: usize = 2000;

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Events below this are dropped.
    pub level: LevelFilter,
    /// JSON Lines with an `event` key, instead of text.
    pub json: bool,
    /// Our own timestamps: where nobody else writes them.
    pub timestamps: bool,
}

impl Log {
    /// `-q` is errors only, default warnings, `-v` information, `-vv` everything. Under systemd (`JOURNAL_STREAM` is set,
    /// systemd.exec(5)) the journal has the time already.
    #[must_use]
    pub fn new(verbose: u8, quiet: bool, json: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let level = match (quiet, verbose) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => LevelFilter::WARN,
            (false, 1) => LevelFilter::INFO,
            (false, _) => LevelFilter::DEBUG,
        };
        Self { level, json, timestamps: env("JOURNAL_STREAM").is_none_or(|stream| stream.is_empty()) }
    }

    /// Logs to stderr from now on. A second call changes nothing.
    pub fn init(self) {
        let _ = tracing::subscriber::set_global_default(self.subscriber(std::io::stderr));
    }

    fn subscriber<W>(self, writer: W) -> impl Subscriber + Send + Sync
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(writer)
            // A closed stderr is no reason to write to it again, which would panic.
            .log_internal_errors(false)
            .event_format(Lines(self))
            .with_filter(Targets::new().with_target(env!("CARGO_CRATE_NAME"), self.level));
        tracing_subscriber::registry().with(layer)
    }
}

/// One event, one line.
struct Lines(Log);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let at = self.0.timestamps.then(Timestamp::now);
        let level = *event.metadata().level();
        let line = if self.0.json { fields.json(level, at) } else { fields.text(level, at) };
        writeln!(writer, "{line}")
    }
}

/// An event's fields in order.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn text(&self, level: Level, at: Option<Timestamp>) -> String {
        let mut line = String::new();
        if let Some(at) = at {
            let _ = write!(line, "{at:.3} ");
        }
        let _ = write!(line, "{}: {}", level.as_str().to_ascii_lowercase(), self.message);
        // An event's name is for programs, and the message says it in words.
        for (key, value) in self.others.iter().filter(|(key, _)| *key != "event") {
            match value {
                Value::String(text) if plain(text) => {
                    let _ = write!(line, " {key}={text}");
                }
                value => {
                    let _ = write!(line, " {key}={value}");
                }
            }
        }
        line
    }

    /// `event` is the event's own field of that name, else its message: there always is one.
    fn json(self, level: Level, at: Option<Timestamp>) -> String {
        let mut map = Map::new();
        map.insert("event".to_owned(), Value::String(self.message.clone()));
        for (key, value) in self.others {
            map.insert(key.to_owned(), value);
        }
        map.insert("level".to_owned(), Value::String(level.as_str().to_ascii_lowercase()));
        if !self.message.is_empty() {
            map.insert("message".to_owned(), Value::String(self.message));
        }
        if let Some(at) = at {
            map.insert("at".to_owned(), Value::String(format!("{at:.3}")));
        }
        Value::Object(map).to_string()
    }

    fn take(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    /// Messages, and what is shown by `Display`: tracing hands both on so. What an event has by `Debug` would come here too; `tests/rooms.rs` sees that
    /// none has.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, Value::String(printable(&format!("{value:?}"), LONGEST)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, Value::String(printable(value, LONGEST)));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.take(field, Value::String(printable(&value.to_string(), LONGEST)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, value.into());
    }
}

/// Whether a value needs no quotes to be told from the next field.
fn plain(text: &str) -> bool {
    !text.is_empty() && !text.contains([' ', '"', '='])
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: Log, what: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        tracing::subscriber::with_default(log.subscriber(move || writer.clone()), what);
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn under_systemd(verbose: u8, json: bool) -> Log {
        Log::new(verbose, false, json, |name| (name == "JOURNAL_STREAM").then(|| "8:1234".to_owned()))
    }

    #[test]
    fn an_event_is_one_line_without_a_time_under_systemd() {
        let text = logged(under_systemd(1, false), || {
            tracing::info!(host = "web1", detail = "a b", n = 3, "round ended");
            tracing::warn!("two\nlines \x1b[31m");
            tracing::debug!("too fine");
        });
        assert_eq!(text, "info: round ended host=web1 detail=\"a b\" n=3\nwarn: two\\u{a}lines \\u{1b}[31m\n");
    }

    #[test]
    fn elsewhere_it_begins_with_the_time() {
        let text = logged(Log::new(0, false, false, |_| None), || tracing::warn!("x"));
        let (time, rest) = text.split_once(' ').unwrap();
        time.parse::<Timestamp>().unwrap();
        assert_eq!(rest, "warn: x\n");
    }

    #[test]
    fn json_lines_have_an_event_key() {
        let text = logged(under_systemd(2, true), || {
            tracing::info!(event = "taken-over", subnets = 3, "moved all");
            tracing::debug!("no name");
        });
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines[0],
            serde_json::json!({"event": "taken-over", "subnets": 3, "level": "info", "message": "moved all"})
        );
        assert_eq!(lines[1]["event"], "no name");
    }

    #[test]
    fn f087_others_events_are_never_logged_at_any_verbosity() {
        let text = logged(under_systemd(9, false), || {
            tracing::error!(target: "aws_config::imds", "AKIAEXAMPLE");
            tracing::error!(target: "aws_smithy_runtime", "authorization: AWS4-HMAC-SHA256");
            tracing::error!(target: "hyper_util", "x-aws-ec2-metadata-token");
            tracing::trace!("finer than -vv");
        });
        assert_eq!(text, "");
    }

    #[test]
    fn quiet_leaves_errors() {
        let log = Log::new(2, true, false, |name| (name == "JOURNAL_STREAM").then(|| "8:1".to_owned()));
        let text = logged(log, || {
            tracing::warn!("w");
            tracing::error!("e");
        });
        assert_eq!(text, "error: e\n");
    }
}
