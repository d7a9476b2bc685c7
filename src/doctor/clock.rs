//! The clock by which everything is dated, and EC2's calls are signed.

use std::path::Path;

use super::command;
use crate::model::{Finding, Fitness, Topic};

/// Where systemd's time service says that the clock was set by a server (systemd-timesyncd.service(8)).
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// Whether the wall clock is kept right. EC2 refuses signatures that are five minutes off; that nothing is known here is no fault.
pub(super) async fn finding() -> Finding {
    if Path::new(SYNCHRONIZED).exists() {
        return clock_is(Some(true));
    }
    // Asks the kernel (adjtimex(2)), whoever it is that keeps the time.
    let said = command::ask(&["/usr/bin/timedatectl"], &["show", "--property=NTPSynchronized", "--value"]).await;
    clock_is(said.as_deref().and_then(synchronized))
}

/// The value of the property alone (timedatectl(1)).
fn synchronized(said: &str) -> Option<bool> {
    match said.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn clock_is(synchronized: Option<bool>) -> Finding {
    let finding = |fitness, text: &str| Finding::new(Topic::State, "clock", fitness, text.to_owned());
    match synchronized {
        Some(true) => finding(Fitness::Fit, "the clock is kept by a time server"),
        Some(false) => finding(
            Fitness::Warning,
            "no time server keeps the clock: EC2 refuses calls once it is five minutes off (Amazon's is 169.254.169.123)",
        )
        .cause("not-kept")
        .remedy("timedatectl set-ntp true || apt-get install chrony || dnf install chrony"),
        None => finding(Fitness::Fit, "whether a time server keeps the clock is not known here"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every way in which a precondition here is not met.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        vec![clock_is(Some(false))]
    }

    #[test]
    fn f005_a_clock_that_nobody_keeps_is_a_warning_and_one_of_which_nothing_is_known_is_not() {
        let kept = clock_is(Some(true));
        assert!(kept.fitness == Fitness::Fit && kept.text.contains("kept"), "{kept:?}");
        let adrift = clock_is(Some(false));
        assert_eq!((adrift.fitness, adrift.cause), (Fitness::Warning, Some("not-kept")));
        assert!(adrift.text.contains("five minutes") && adrift.text.contains("169.254.169.123"), "{adrift:?}");
        let nothing = clock_is(None);
        assert!(nothing.fitness == Fitness::Fit && nothing.text.contains("not known"), "{nothing:?}");
        assert_eq!([" yes\n", "no\n", ""].map(synchronized), [Some(true), Some(false), None]);
    }
}
