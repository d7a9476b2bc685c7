//! Who joins the backends because EC2 shows it running in a guarded subnet: asked now, and not by the list that was saved.

use std::time::Duration;

use crate::config::{Joined, Joining, Settings};
use crate::model::{Finding, Fitness, Topic};
use crate::record::State;
use crate::run::fleet;

/// What EC2 may take: the backends are asked after it, in the rest of the time that `doctor` has.
const WITHIN: Duration = Duration::from_secs(3);

/// How many names stand in a finding's details.
const NAMED: usize = 8;

/// Whoever runs there.
const LIST: &str = "aws ec2 describe-instances --filters Name=instance-state-name,Values=running --query \
                    'Reservations[].Instances[].[InstanceId,SubnetId,PrivateIpAddress]' --output text";

/// The settings with whom EC2 shows now, or else showed when last asked; and what there is to say of that.
pub(super) async fn joined(mut settings: Settings) -> (Settings, Option<Finding>) {
    if settings.fleet.is_none() {
        return (settings, None);
    }
    let state = State::look(&settings.state).ok();
    let listed = settings.observe.backends.len();
    let (fleet, trouble) = match fleet::ask_first(&settings, state.as_ref(), WITHIN).await {
        Ok(fleet) => (Some(fleet), None),
        Err(why) => (fleet::saved(&settings, state.as_ref()), Some(why)),
    };
    settings.join(fleet.as_ref(), trouble.clone());
    let found = settings.fleet.as_ref().map(|joining| finding(joining, trouble.as_deref(), listed));
    (settings, found)
}

/// `listed`: how many backends there are without it.
fn finding(joining: &Joining, trouble: Option<&str>, listed: usize) -> Finding {
    let made = |fitness, text: String| Finding::new(Topic::Backends, "fleet", fitness, text);
    let came = joining.came.clone().unwrap_or_default();
    let Joined { backends, filtered, without_address, more } = &came;
    if let Some(why) = trouble {
        let by = if joining.came.is_some() {
            format!("{backends} that were seen before are backends")
        } else {
            "nobody was ever seen".to_owned()
        };
        let text = format!("EC2 can't be asked who runs in the guarded subnets, {by}: {why}");
        return made(Fitness::Unknown, text).cause("fleet-not-asked").remedy(LIST);
    }
    // Others can witness without them.
    let lacking = if listed > 0 { Fitness::Warning } else { Fitness::Unfit };
    match (*backends, filtered.len()) {
        (0, 0) => {
            let text = "backends.ec2_subnets: EC2 shows no instance in the guarded subnets that runs, has an IPv4 address and is no NAT";
            made(lacking, text.to_owned()).cause("no-instance").remedy(LIST)
        }
        (0, left_out) => {
            let text = format!(
                "backends.ec2_subnets: none of the {left_out} instances that run in the guarded subnets passes backends.match and backends.within"
            );
            made(lacking, text)
                .cause("no-instance-passes")
                .details(vec![out(filtered)])
                .change(joining.narrowed_by(), "one that lets them pass, or none")
        }
        _ => {
            let mut details = Vec::new();
            if !filtered.is_empty() {
                details.push(out(filtered));
            }
            if *without_address > 0 {
                details.push(format!("{without_address} without an IPv4 address can't be asked"));
            }
            if *more > 0 {
                details.push(format!("{more} more are left out, since there are so many"));
            }
            let text = format!("{backends} instances that run in the guarded subnets are backends, as EC2 shows them");
            made(Fitness::Fit, text).details(details)
        }
    }
}

/// Who does not pass.
fn out(filtered: &[String]) -> String {
    let shown = filtered.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = filtered.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("left out by backends.match and backends.within: {shown}{rest}")
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use super::super::tests::can_be_done;
    use super::*;
    use crate::config::{Files, Role};
    use crate::model::{Fleet, Resident};

    struct NoFiles;

    impl Files for NoFiles {
        fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
            Err("no files here".to_owned())
        }

        fn faults(&self, _: &Path, _: Role) -> Vec<String> {
            Vec::new()
        }
    }

    /// What is found where EC2 shows `count` instances, or does not answer, by a configuration with these lines.
    fn found(shown: Result<usize, &str>, more: &str) -> Finding {
        let text = format!(
            "primary.route_table = \"rtb-0a\"\nstandby.route_table = \"rtb-0b\"\ntargets.hosts = [\"203.0.113.1\", \"203.0.113.2\"]\nbackends.ec2_subnets = true\n{more}"
        );
        let mut settings = Settings::parse(&text, Path::new("/etc/natwatch/n.toml"), &NoFiles).unwrap();
        let listed = settings.observe.backends.len();
        let resident = |n: usize| Resident {
            instance: format!("i-{n:04}").parse().unwrap(),
            name: Some("db".to_owned()),
            addr: [10, 0, 10, u8::try_from(n).unwrap()].into(),
        };
        let fleet = Fleet {
            version: 1,
            primary: "rtb-0a".parse().unwrap(),
            standby: "rtb-0b".parse().unwrap(),
            members: (1..=shown.unwrap_or_default()).map(resident).collect(),
            more: 3,
            without_address: 2,
            seen: Timestamp::UNIX_EPOCH,
        };
        settings.join(shown.is_ok().then_some(&fleet), None);
        finding(settings.fleet.as_ref().unwrap(), shown.err(), listed)
    }

    /// Each way in which it brings nobody.
    pub(in crate::doctor) fn seeds() -> Vec<Finding> {
        vec![found(Ok(0), ""), found(Ok(9), "backends.match = \"^web\""), found(Err("denied"), "")]
    }

    #[test]
    fn what_ec2_shows_is_told_with_who_is_left_out_and_nobody_at_all_is_unfit_unless_others_are_listed() {
        let listed = "backends.hosts = [\"web1\"]";
        for (shown, more, fitness, cause, says) in [
            (Ok(6), "", Fitness::Fit, None, "6 instances"),
            (Ok(0), "", Fitness::Unfit, Some("no-instance"), "shows no instance"),
            (Ok(0), listed, Fitness::Warning, Some("no-instance"), "shows no instance"),
            (Ok(9), "backends.match = \"^web\"", Fitness::Unfit, Some("no-instance-passes"), "none of the 9"),
            (Ok(9), "backends.within = [\"10.1.0.0/16\"]", Fitness::Unfit, Some("no-instance-passes"), "none of the 9"),
            (Err("denied"), "", Fitness::Unknown, Some("fleet-not-asked"), "nobody was ever seen: denied"),
        ] {
            let one = found(shown, more);
            assert_eq!((one.fitness, one.cause), (fitness, cause), "{one:?}");
            assert!(one.text.contains(says), "{one:?}");
            can_be_done(&[one]);
        }
        assert_eq!(found(Ok(6), "").details.len(), 2);
        let some = found(Ok(12), "backends.within = [\"10.0.10.8/29\"]");
        assert!(some.fitness == Fitness::Fit && some.text.starts_with("5 instances"), "{some:?}");
        assert_eq!(
            some.details[0],
            "left out by backends.match and backends.within: db/i-0001, db/i-0002, db/i-0003, db/i-0004, db/i-0005, db/i-0006, db/i-0007"
        );
        let none = found(Ok(9), "backends.match = \"^web\"");
        assert!(none.details[0].ends_with("db/i-0008 and 1 more"), "{none:?}");
    }
}
