//! Rounds and settings, built in a line.

use std::time::Duration;

use jiff::Timestamp;

use crate::decide::DecideSettings;
use crate::model::{
    Backend, Control, ControlFate, Family, Fate, Guarded, GuardedSet, Judgement, Member, Method, Moment, Probe, Round,
    Silence, SilenceReason, Target, Testimony,
};

pub(super) const RTT: Duration = Duration::from_millis(12);

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The defaults of the contract, for `run`.
pub(in crate::decide) fn settings() -> DecideSettings {
    DecideSettings {
        threshold: 3,
        fraction: 0.5,
        rounds: 2,
        span: Duration::from_secs(3),
        tries: 2,
        min_uptime: Duration::from_mins(5),
        primary_table: "rtb-0a".parse().unwrap(),
        primary_instance: None,
        standby_table: "rtb-0b".parse().unwrap(),
        subnets: Vec::new(),
        max_subnets: 50,
        disable_source_dest_check: true,
        method: Method::Association,
        elastic_ip: None,
        reboot_primary: false,
    }
}

/// Guarded subnets, each with the table it is on.
pub(super) fn guarded(on: &[(&str, &str)]) -> GuardedSet {
    let of = |(subnet, table): &(&str, &str)| Guarded {
        subnet: subnet.parse().unwrap(),
        name: None,
        cidrs: Vec::new(),
        on: table.parse().unwrap(),
    };
    GuardedSet {
        version: 1,
        primary: "rtb-0a".parse().unwrap(),
        standby: "rtb-0b".parse().unwrap(),
        subnets: on.iter().map(of).collect(),
        families: vec![Family::V4],
        public: Vec::new(),
        leads_to: None,
        admission: None,
        tables: None,
        own: None,
        names: crate::model::Names::new(),
        seen: Timestamp::UNIX_EPOCH,
    }
}

/// The `n`th target of a family.
pub(super) fn target_of(family: Family, n: u8) -> Target {
    let name = match family {
        Family::V4 => format!("203.0.113.{n}"),
        Family::V6 => format!("2001:db8::{n}"),
    };
    Target { addr: name.parse().unwrap(), name }
}

pub(super) fn target(n: u8) -> Target {
    target_of(Family::V4, n)
}

pub(super) fn good(target: Target) -> Control {
    Control { name: target.name.clone(), target: Some(target), fate: ControlFate::Good { rtt: RTT } }
}

pub(super) fn dead(target: Target) -> Control {
    Control { name: target.name.clone(), target: Some(target), fate: ControlFate::NoReply }
}

pub(super) fn miss(target: Target) -> Probe {
    Probe { target, earliest: ms(10), latest: ms(20), fate: Fate::NoReply }
}

pub(super) fn reply(target: Target) -> Probe {
    Probe { target, earliest: ms(10), latest: ms(20), fate: Fate::Reply { rtt: RTT } }
}

pub(super) fn hung() -> Testimony {
    Testimony::Silent(Silence { reason: SilenceReason::Hung, detail: "hung".to_owned() })
}

/// A round of three good targets, to which members are added.
pub(super) fn round() -> Round {
    Round {
        started: ms(0),
        ended: ms(700),
        limit: Duration::from_secs(14),
        controls: (1..=3).map(|n| good(target(n))).collect(),
        members: Vec::new(),
    }
}

impl Round {
    pub(super) fn with(mut self, subnet: &str, count: usize, testimony: &Testimony) -> Self {
        for _ in 0..count {
            let host = format!("b{}", self.members.len());
            self.members.push(Member {
                backend: Backend { destination: host.clone(), host, addr: None },
                subnet: subnet.to_owned(),
                witness: vec![Family::V4],
                reached: Vec::new(),
                testimony: testimony.clone(),
            });
        }
        self
    }

    pub(super) fn reaching(self, subnet: &str, count: usize) -> Self {
        self.with(subnet, count, &Testimony::Probes(vec![reply(target(1))]))
    }

    pub(super) fn cut_off(self, subnet: &str, count: usize) -> Self {
        self.with(subnet, count, &Testimony::Probes(vec![miss(target(1)), miss(target(2))]))
    }

    pub(super) fn silent(self, subnet: &str, count: usize) -> Self {
        self.with(subnet, count, &hung())
    }

    pub(super) fn awaited(self, subnet: &str, count: usize) -> Self {
        self.with(subnet, count, &Testimony::Awaited)
    }

    /// The members added last become witnesses of these families.
    pub(super) fn witness(mut self, count: usize, families: &[Family]) -> Self {
        for member in self.members.iter_mut().rev().take(count) {
            member.witness = families.to_vec();
        }
        self
    }

    pub(super) fn controls(mut self, controls: Vec<Control>) -> Self {
        self.controls = controls;
        self
    }

    pub(super) fn judged(&self) -> Judgement {
        super::super::judge(self, &settings(), Family::V4)
    }
}

/// A round of `down` from `started` to `ended`, its counted misses sent between `first` and `last`.
pub(super) fn down_at(started: Moment, first: Moment, last: Moment, ended: Moment) -> Judgement {
    let mut round = round();
    (round.started, round.ended) = (started, ended);
    let at = |target, moment| Probe { earliest: moment, latest: moment, ..miss(target) };
    round.with("a", 3, &Testimony::Probes(vec![at(target(1), first), at(target(2), last)])).judged()
}
