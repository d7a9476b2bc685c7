//! Who is told: the hook, and the file for metrics.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use super::keys;
use super::permissions::Role;
use super::reader::Reader;
use super::values;
use super::{Files, shown};
use crate::notify::NotifySettings;

/// Longer than any path or sensible argument (`PATH_MAX`, limits.h(0p)).
const LONGEST: usize = 4096;

/// The hook; `None`: there is none, or the reader has noted why not.
pub(super) fn notify(reader: &mut Reader<'_>, files: &dyn Files, advice: &mut Vec<String>) -> Option<NotifySettings> {
    let timeout = reader.duration(&keys::NOTIFY_TIMEOUT);
    // An argument may well be there twice.
    let number = Cell::new(0);
    let identity = |_: &String| number.replace(number.get() + 1);
    let command = reader.list(&keys::NOTIFY_COMMAND, argument, identity);
    if !reader.has(&keys::NOTIFY_COMMAND) {
        return None;
    }
    let command: Vec<String> = command?.into_iter().map(|entry| entry.value).collect();
    let Some(program) = command.first() else {
        reader.clash(&keys::NOTIFY_COMMAND, "no program", &keys::NOTIFY_COMMAND.accepted());
        return None;
    };
    if let Err(what) = values::path(program) {
        reader.clash(&keys::NOTIFY_COMMAND, &what, &keys::NOTIFY_COMMAND.accepted());
        return None;
    }
    // A script may be an argument of its interpreter.
    for path in command.iter().filter(|one| Path::new(one).is_absolute()) {
        for fault in files.faults(Path::new(path), Role::Hook) {
            reader.clash(&keys::NOTIFY_COMMAND, &format!("{}: {fault}", shown(Path::new(path))), "");
        }
    }
    // A hook that is gone is no reason not to watch.
    if let Err(why) = files.usable(Path::new(program)) {
        advice.push(format!(
            "notify.command: {} can't be run: {why}; nobody is told of events",
            shown(Path::new(program))
        ));
    }
    Some(NotifySettings { command, timeout: timeout? })
}

fn argument(text: &str) -> Result<String, String> {
    if text.contains('\0') {
        Err("a NUL in an argument".to_owned())
    } else if text.len() > LONGEST {
        Err(format!("an argument of {} bytes", text.len()))
    } else {
        Ok(text.to_owned())
    }
}

/// The file for metrics.
pub(super) fn textfile(reader: &mut Reader<'_>) -> Option<PathBuf> {
    reader.text(&keys::TEXTFILE, |text| {
        let path = values::path(text)?;
        if path.extension().is_some_and(|extension| extension == "prom") {
            Ok(path)
        } else {
            Err("not a name that node_exporter collects".to_owned())
        }
    })
}
