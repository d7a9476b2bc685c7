//! The configuration, read again: what holds from then on, or why what held before still does.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use super::Made;
use crate::config::Settings;
use crate::daemon::{Manager, Why};
use crate::observe::SshSettings;
use crate::record::FLEET;
use crate::run::fleet::{self, First};

/// No session is kept longer than this for who is asked so seldom; it is opened again.
const IDLE: Duration = Duration::from_hours(1);

/// Twice as many backends are logged in to as are heard in a round, and one may be passed over once.
const TURNS: u32 = 4;

/// The settings as a watch has them: a span of its own, and sessions that last from one use to the next.
pub(super) fn lasting(mut settings: Settings) -> Settings {
    settings.decide.span = settings.watch.span;
    settings.observe.ssh.idle = settings.calm_pass().saturating_mul(TURNS).clamp(SshSettings::IDLE, IDLE);
    settings
}

/// Reads the configuration at `path` again; `None`: the one before holds. systemd is told that it is being read, and that it was.
pub(super) async fn read(
    path: &Path,
    why: &Why,
    before: &Made,
    manager: &RefCell<Manager>,
    refused: &mut &'static str,
) -> Option<Box<Made>> {
    if matches!(why, Why::Hosts(list) if *list == before.settings.state.join(FLEET)) {
        return rejoined(before).await;
    }
    manager.borrow_mut().reloading();
    let read = made(path, before).await;
    manager.borrow_mut().ready();
    let why = match why {
        Why::Asked => "as asked".to_owned(),
        Why::Hosts(path) => format!("since {} is another", path.display()),
    };
    *refused = "";
    match read {
        Ok(Some(made)) => {
            tracing::info!(event = "configuration", "the configuration was read again, {why}");
            Some(made)
        }
        Ok(None) => {
            tracing::info!(
                event = "configuration",
                "the configuration was read again, {why}: it says what it said before"
            );
            None
        }
        Err(error) => {
            *refused = "the configuration on disk is refused (see the log), the one before holds; ";
            tracing::error!(
                event = "configuration-refused",
                "the configuration was read again, {why}, and is refused; the one before holds"
            );
            for line in error.lines() {
                tracing::error!(event = "configuration-refused", "{line}");
            }
            None
        }
    }
}

/// Whom EC2 shows now, among the backends of the configuration as it was read last: who runs there changes at any hour, when the file may be half
/// edited.
async fn rejoined(before: &Made) -> Option<Box<Made>> {
    let settings = lasting(fleet::joined(before.settings.clone(), First::Leave).await);
    if settings == before.settings {
        return None;
    }
    match Made::of(settings).await {
        Ok(made) => {
            tracing::info!(event = "configuration", "EC2 shows other backends than before");
            Some(Box::new(made))
        }
        Err(failure) => {
            let why = failure.text;
            tracing::error!(event = "configuration-refused", "EC2 shows other backends, and those before hold: {why}");
            None
        }
    }
}

/// What the configuration makes now, if it is another than before.
async fn made(path: &Path, before: &Made) -> Result<Option<Box<Made>>, String> {
    let settings = Settings::load(path).map_err(|error| error.to_string())?;
    let settings = lasting(fleet::joined(settings, First::Leave).await);
    let known = &before.settings;
    if settings == *known {
        return Ok(None);
    }
    if (&settings.name, &settings.state) != (&known.name, &known.state) {
        return Err(format!(
            "{}: name or state.dir is another (state was in {}, would be in {}): restart natwatch for that",
            path.display(),
            known.state.display(),
            settings.state.display()
        ));
    }
    Ok(Some(Box::new(Made::of(settings).await.map_err(|failure| failure.text)?)))
}

#[cfg(test)]
mod tests {
    use crate::config::{Files, Role};

    use super::*;

    struct NoFiles;

    impl Files for NoFiles {
        fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
            Err("no files here".to_owned())
        }

        fn faults(&self, _: &Path, _: Role) -> Vec<String> {
            Vec::new()
        }
    }

    fn settings(more: &str) -> Settings {
        let text = format!(
            r#"
primary.route_table = "rtb-0a"
standby.route_table = "rtb-0b"
targets.hosts = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
backends.hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
{more}"#
        );
        lasting(Settings::parse(&text, Path::new("/etc/natwatch/natwatch.toml"), &NoFiles).unwrap())
    }

    #[test]
    fn a_watch_has_a_span_of_its_own_and_sessions_that_last_from_turn_to_turn() {
        let seconds = Duration::from_secs;
        for (more, round_takes, idle) in [
            ("", seconds(2), seconds(30)),
            ("backends.panel = 3", seconds(1), seconds(30)),
            ("backends.panel = 0\ndecision.interval = \"1m\"", seconds(120), seconds(480)),
            ("decision.interval = \"1h\"", seconds(7200), seconds(3600)),
        ] {
            let settings = settings(more);
            assert_eq!((settings.calm_pass(), settings.observe.ssh.idle), (round_takes, idle), "{more}");
            assert_eq!(settings.decide.span, Duration::from_millis(700), "{more}");
        }
    }
}
