//! A lab as it is after the first minutes of an installation.

use std::path::PathBuf;

use natwatch_lab::testing::expect;
use natwatch_lab::{Lab, Options};

pub(crate) fn raise() -> Lab {
    Lab::up(&Options { natwatch: PathBuf::from(env!("CARGO_BIN_EXE_natwatch")), ..Options::default() }).unwrap()
}

/// A lab whose backends are witnesses already, as after the first minutes of any installation. Evidence for a takeover needs
/// no longer span than the test has patience for, but two rounds all the same.
pub(crate) fn seasoned() -> Lab {
    let lab = raise();
    lab.configure(&[("decision.run_span", "\"200ms\""), ("decision.rounds", "2"), ("backends.panel", "0")]).unwrap();
    // With panel 0 everybody is asked, but a round may end before the last is heard: two are enough for six.
    for _ in 0..3 {
        expect(&lab.natwatch(&["run"]).unwrap(), 0);
    }
    lab
}
