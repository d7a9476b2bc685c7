//! What goes wrong in one simulation, and when: drawn from the seed beforehand, so that the truth about any moment is known.
//!
//! All times are counted from the beginning of the simulation.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// The default `decision.run_span`; an outage that is shorter must move nothing by `run`.
pub(crate) const RUN_SPAN: Duration = Duration::from_secs(3);
/// The default `decision.watch_span`, likewise for `watch`.
pub(crate) const WATCH_SPAN: Duration = Duration::from_millis(700);
/// Targets at most.
pub(crate) const TARGETS: usize = 4;
/// Up to this loss each way, plain packet loss must not move anything in as many rounds as are simulated.
pub(crate) const PLAIN_LOSS: f64 = 0.05;

pub(crate) fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Stretches of time, in order and apart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times(pub(crate) Vec<(Duration, Duration)>);

impl Times {
    pub(crate) fn at(&self, moment: Duration) -> bool {
        self.0.iter().any(|(from, to)| (*from..*to).contains(&moment))
    }

    pub(crate) fn any(&self, from: Duration, to: Duration) -> bool {
        self.0.iter().any(|(start, end)| *start <= to && from < *end)
    }

    pub(crate) fn throughout(&self, from: Duration, to: Duration) -> bool {
        self.0.iter().any(|(start, end)| *start <= from && to < *end)
    }
}

/// How often passes begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cadence {
    /// `run` every two minutes, some seconds late.
    Cron,
    /// Passes back to back, about one each second, with the span of `watch`.
    Watch,
}

/// How a backend answers the standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Logs in after a moment and pings.
    Well,
    /// Logs in after so long.
    Slow(Duration),
    /// Its address is black-holed.
    Gone,
    /// Refuses the connection.
    Refuses,
    /// Logs in, then its command never answers.
    Hangs,
}

#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) subnet: usize,
    /// In the rack that may be cut off from the network beyond, or lose its power.
    pub(crate) in_rack: bool,
    pub(crate) nature: Nature,
    /// When it is [`Nature::Gone`] besides.
    pub(crate) gone: Times,
}

/// Someone moves a subnet while we work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meddling {
    pub(crate) at: Duration,
    pub(crate) subnet: usize,
    /// To a third table; else back to the primary's.
    pub(crate) away: bool,
}

/// EC2's moods.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ec2Moods {
    /// No call is answered.
    pub(crate) down: Times,
    /// Every move is throttled.
    pub(crate) throttles: Times,
    /// The share of calls that fail: throttled, 5xx, carried out without a reply, or no answer.
    pub(crate) errors: f64,
    /// How long a describe may show what was.
    pub(crate) lag: Duration,
    /// For how long a describe shows nowhere what was moved.
    pub(crate) nowhere: Duration,
    /// How long after its acceptance a route takes effect, at most.
    pub(crate) effect: Duration,
}

/// A standby.
#[derive(Debug, Clone)]
pub(crate) struct StandbySpec {
    /// Its uplink is dead.
    pub(crate) uplink_out: Times,
    /// It forwards what it is sent (whatever its sysctls say).
    pub(crate) carries: bool,
    /// `net.ipv4.ip_forward`.
    pub(crate) forwards: bool,
    /// Uptime when the simulation begins.
    pub(crate) uptime: Duration,
    pub(crate) source_dest_check: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) cadence: Cadence,
    pub(crate) end: Duration,
    /// `decision.interval`.
    pub(crate) interval: Duration,
    /// `decision.run_span`, or `watch_span`.
    pub(crate) span: Duration,
    pub(crate) subnets: usize,
    pub(crate) panel: usize,
    pub(crate) targets: usize,
    pub(crate) backends: Vec<Spec>,
    pub(crate) standbys: Vec<StandbySpec>,
    /// Round trips take up to so many seconds.
    pub(crate) rtt: f64,
    /// Loss each way on the primary's path.
    pub(crate) loss: f64,
    /// Loss each way on the standby's own path, while it is `lossy`.
    pub(crate) uplink_loss: f64,
    /// Stretches shorter than the span in which the primary's path loses so much each way.
    pub(crate) bursts: Times,
    pub(crate) burst_loss: f64,
    /// The primary forwards nothing: outages, flaps, and pauses shorter than the span.
    pub(crate) dead: Times,
    /// When an operator has repaired everything: brings the subnets back and resets the locks.
    pub(crate) repairs: Vec<Duration>,
    pub(crate) internet_out: Times,
    pub(crate) target_dead: [Times; TARGETS],
    /// The target answers nobody who comes from the primary's address.
    pub(crate) limited: Option<(usize, Times)>,
    /// Subnets whose ACL lets no ICMP through.
    pub(crate) acl: Option<(Vec<usize>, Times)>,
    pub(crate) rack_cut: Times,
    pub(crate) rack_dark: Times,
    pub(crate) ec2: Ec2Moods,
    /// The chance that a pass is frozen in its first seconds.
    pub(crate) freezes: f64,
    /// The chance that a pass in which EC2 is being changed is killed.
    pub(crate) kills: f64,
    /// The chance that another pass of the same name begins while one is working.
    pub(crate) twins: f64,
    /// The chance that a pass is a dry run.
    pub(crate) dry: f64,
    pub(crate) meddling: Vec<Meddling>,
    /// `natwatch pause` is in force.
    pub(crate) paused: Times,
    /// The wall clock jumps: when, and by how many seconds.
    pub(crate) wall_jumps: Vec<(Duration, i64)>,
    /// For so long the machine is suspended once, between the decision to move and the first call.
    pub(crate) suspended: Duration,
    /// How long IMDS takes.
    pub(crate) imds: Duration,
    /// The primary's table sends IPv6 to the primary, and a standby's sends it to a gateway.
    pub(crate) dual: bool,
}

impl Script {
    /// Plain loss is so high that the odds of a false takeover are for counting, not for forbidding.
    pub(crate) fn lossy(&self) -> bool {
        self.loss > PLAIN_LOSS
    }

    pub(crate) fn loss_at(&self, moment: Duration) -> f64 {
        if self.bursts.at(moment) { self.burst_loss } else { self.loss }
    }

    /// How the backend answers at that moment.
    pub(crate) fn nature(&self, backend: usize, moment: Duration) -> Nature {
        let spec = &self.backends[backend];
        let gone = spec.gone.at(moment) || (spec.in_rack && self.rack_dark.at(moment));
        if gone { Nature::Gone } else { spec.nature }
    }

    /// Its pings don't leave the subnet.
    pub(crate) fn cut(&self, backend: usize, moment: Duration) -> bool {
        let spec = &self.backends[backend];
        (spec.in_rack && self.rack_cut.at(moment))
            || self.acl.as_ref().is_some_and(|(subnets, times)| subnets.contains(&spec.subnet) && times.at(moment))
    }

    /// A `watch` of so long by the defaults, of two subnets with four backends each, where nothing is wrong.
    pub(crate) fn plain(end: Duration) -> Self {
        let spec = |n: usize| Spec { subnet: n % 2, in_rack: false, nature: Nature::Well, gone: Times::default() };
        Self {
            cadence: Cadence::Watch,
            end,
            interval: secs(1.0),
            span: WATCH_SPAN,
            subnets: 2,
            panel: 8,
            targets: 3,
            backends: (0..8).map(spec).collect(),
            standbys: vec![StandbySpec {
                uplink_out: Times::default(),
                carries: true,
                forwards: true,
                uptime: secs(86_400.0),
                source_dest_check: false,
            }],
            // Targets near by, as AWS's regions have them.
            rtt: 0.03,
            loss: 0.0,
            uplink_loss: 0.0,
            bursts: Times::default(),
            burst_loss: 0.0,
            dead: Times::default(),
            repairs: Vec::new(),
            internet_out: Times::default(),
            target_dead: Default::default(),
            limited: None,
            acl: None,
            rack_cut: Times::default(),
            rack_dark: Times::default(),
            ec2: Ec2Moods::default(),
            freezes: 0.0,
            kills: 0.0,
            twins: 0.0,
            dry: 0.0,
            meddling: Vec::new(),
            paused: Times::default(),
            wall_jumps: Vec::new(),
            suspended: Duration::ZERO,
            imds: Duration::ZERO,
            dual: false,
        }
    }

    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let rng = &mut rng;
        let cadence = if rng.random_bool(0.5) { Cadence::Cron } else { Cadence::Watch };
        let passes: f64 = rng.random_range(76.0..108.0);
        let (period, unit) = match cadence {
            Cadence::Cron => (120.0, 120.0),
            Cadence::Watch => (1.6, 4.0),
        };
        let end = passes * period;
        let subnets = rng.random_range(1..=4);
        let panel: usize = [3, 3, 4, 4, 5, 6, 7, 8, 8, 0][rng.random_range(0..10)];
        let least = (panel.max(3) + 1).div_ceil(subnets).max(2);
        let mut script = Self {
            cadence,
            end: secs(end),
            span: match cadence {
                Cadence::Cron => RUN_SPAN,
                Cadence::Watch => WATCH_SPAN,
            },
            interval: secs([1.0, 1.0, 0.3, 2.0][rng.random_range(0..4)]),
            subnets,
            panel,
            targets: rng.random_range(2..=TARGETS),
            backends: Vec::new(),
            standbys: Vec::new(),
            rtt: 0.12,
            loss: match rng.random_range(0..20) {
                0..10 => 0.0,
                10..16 => rng.random_range(0.0..PLAIN_LOSS),
                _ => rng.random_range(0.08..0.5),
            },
            uplink_loss: if rng.random_bool(0.2) { rng.random_range(0.0..0.3) } else { 0.0 },
            bursts: Times::default(),
            burst_loss: rng.random_range(0.3..1.0),
            dead: Times::default(),
            repairs: Vec::new(),
            internet_out: Times::default(),
            target_dead: Default::default(),
            limited: None,
            acl: None,
            rack_cut: Times::default(),
            rack_dark: Times::default(),
            ec2: Ec2Moods {
                effect: secs(if rng.random_bool(0.3) { rng.random_range(0.0..3.0) } else { 0.0 }),
                ..Ec2Moods::default()
            },
            freezes: if rng.random_bool(0.2) { 0.1 } else { 0.0 },
            kills: if rng.random_bool(0.2) { 0.8 } else { 0.0 },
            twins: if rng.random_bool(0.1) { 0.3 } else { 0.0 },
            dry: if rng.random_bool(0.1) { 0.3 } else { 0.0 },
            meddling: Vec::new(),
            paused: Times::default(),
            wall_jumps: Vec::new(),
            suspended: Duration::ZERO,
            imds: Duration::ZERO,
            dual: false,
        };
        script.draw_backends(rng, least);
        script.draw_standbys(rng);
        script.draw_primary(rng, end, unit);
        script.draw_surroundings(rng, end, unit);
        script
    }

    fn draw_backends(&mut self, rng: &mut SmallRng, least: usize) {
        let sick = if rng.random_bool(0.35) { rng.random_range(0.0..0.5) } else { 0.0 };
        for subnet in 0..self.subnets {
            for _ in 0..rng.random_range(least..=least + 1) {
                let nature = if rng.random_bool(sick) {
                    match rng.random_range(0..4) {
                        0 => Nature::Gone,
                        1 => Nature::Refuses,
                        2 => Nature::Hangs,
                        _ => Nature::Slow(secs(rng.random_range(1.0..12.0))),
                    }
                } else {
                    Nature::Well
                };
                self.backends.push(Spec { subnet, in_rack: false, nature, gone: Times::default() });
            }
        }
    }

    fn draw_standbys(&mut self, rng: &mut SmallRng) {
        let standbys = if rng.random_bool(0.25) { 2 } else { 1 };
        for _ in 0..standbys {
            let uplink_out = Times(if rng.random_bool(0.1) { vec![self.stretch(rng, 0.02, 0.5)] } else { Vec::new() });
            let uptime = if rng.random_bool(0.1) { rng.random_range(0.0..300.0) } else { 86_400.0 };
            self.standbys.push(StandbySpec {
                uplink_out,
                carries: rng.random_bool(0.9),
                forwards: rng.random_bool(0.97),
                uptime: secs(uptime),
                source_dest_check: rng.random_bool(0.2),
            });
        }
    }

    /// A stretch of the simulation, so much of it long.
    fn stretch(&self, rng: &mut SmallRng, shortest: f64, longest: f64) -> (Duration, Duration) {
        let length = self.end.mul_f64(rng.random_range(shortest..longest));
        let from = self.end.saturating_sub(length).mul_f64(rng.random_range(0.0..1.0));
        (from, from + length)
    }

    fn draw_primary(&mut self, rng: &mut SmallRng, end: f64, unit: f64) {
        let mut at = end * rng.random_range(0.15..0.4);
        let mut outages = Vec::new();
        for _ in 0..[0, 0, 1, 1, 1, 1, 2, 2][rng.random_range(0..8)] {
            let length = unit * rng.random_range(1.2..7.0);
            if at + length > end {
                break;
            }
            outages.push((secs(at), secs(at + length)));
            at += length + unit * rng.random_range(0.5..5.0);
            if rng.random_bool(0.8) {
                self.repairs.push(secs(at));
            }
            at += unit * rng.random_range(2.0..10.0);
        }
        let flaps = rng.random_bool(0.15);
        let pauses = !flaps && rng.random_bool(0.3);
        // A pause is shorter than the span, a flap may be longer. In between are some seconds: `run` looks again about each
        // second and can't see what comes and goes between its looks.
        let shortest = 0.1;
        let (longest, apart) = match (self.cadence, flaps) {
            (Cadence::Cron, true) => (20.0, 15.0),
            (Cadence::Watch, true) => (4.0, 6.0),
            (Cadence::Cron, false) => (2.5, [6.0, 60.0][rng.random_range(0..2)]),
            (Cadence::Watch, false) => (0.6, [3.0, 30.0][rng.random_range(0..2)]),
        };
        let mut short = Vec::new();
        if flaps || pauses {
            // A flapping of an hour would be thousands of stretches; nothing is new after the first few hundred.
            let mut at = rng.random_range(0.0..apart);
            while at < end && short.len() < 400 {
                let length = rng.random_range(shortest..longest);
                short.push((secs(at), secs(at + length)));
                at += length + rng.random_range(0.6..1.4) * apart;
                // Passes of cron are far apart: what lies in between is seen by nobody.
                if self.cadence == Cadence::Cron && short.len() % 10 == 0 {
                    at += rng.random_range(0.0..240.0);
                }
            }
        }
        let gap = secs(5.0);
        short.retain(|(from, to)| outages.iter().all(|(start, end)| *to + gap < *start || *end + gap < *from));
        outages.extend(short);
        outages.sort_unstable();
        self.dead = Times(outages);
        if rng.random_bool(0.15) {
            let longest = if self.cadence == Cadence::Cron { 2.0 } else { 0.5 };
            let mut at = rng.random_range(0.0..20.0);
            while at < end && self.bursts.0.len() < 200 {
                let burst = (secs(at), secs(at + rng.random_range(0.05..longest)));
                if !self.dead.any(burst.0.saturating_sub(gap), burst.1 + gap) {
                    self.bursts.0.push(burst);
                }
                at += rng.random_range(5.0..60.0);
            }
        }
    }

    fn draw_surroundings(&mut self, rng: &mut SmallRng, end: f64, unit: f64) {
        if rng.random_bool(0.15) {
            for _ in 0..rng.random_range(1..4) {
                let one = self.stretch(rng, 0.0005, 0.1);
                self.internet_out.0.push(one);
            }
        }
        if rng.random_bool(0.2) {
            for n in 0..self.targets {
                if rng.random_bool(0.4) {
                    let one = self.stretch(rng, 0.05, 1.0);
                    self.target_dead[n].0.push(one);
                }
            }
        }
        if rng.random_bool(0.15) {
            let limits = rng.random_range(0..self.targets);
            self.limited = Some((limits, Times(vec![self.stretch(rng, 0.1, 1.0)])));
            if rng.random_bool(0.4) {
                // And nobody else answers anyone.
                let one = self.stretch(rng, 0.1, 1.0);
                for n in (0..self.targets).filter(|n| *n != limits) {
                    self.target_dead[n] = Times(vec![one]);
                }
            }
        }
        // One subnet, or one rack, among others: enough of the others must be heard, by the rules of the panel, for what
        // happens to it not to be the majority.
        let heard = if self.panel == 0 { self.backends.len() } else { self.panel.min(self.backends.len()) };
        let all_well = self.backends.iter().all(|one| one.nature == Nature::Well);
        match rng.random_range(0..10) {
            0 | 1 if self.subnets > 1 && all_well && panel_covers(heard, self.subnets) => {
                // One, or all but one: however many are cut off then, a subnet that reaches clears the primary.
                let one = rng.random_range(0..self.subnets);
                let but_one = rng.random_bool(0.6);
                let subnets = (0..self.subnets).filter(|subnet| (*subnet == one) != but_one).collect();
                self.acl = Some((subnets, Times(vec![self.stretch(rng, 0.1, 0.9)])));
            }
            2 | 3 if all_well => {
                for _ in 0..heard / 2 {
                    let n = rng.random_range(0..self.backends.len());
                    self.backends[n].in_rack = true;
                }
                self.rack_cut = Times(vec![self.stretch(rng, 0.1, 0.9)]);
            }
            4 => {
                for _ in 0..self.backends.len() / 2 {
                    let n = rng.random_range(0..self.backends.len());
                    self.backends[n].in_rack = true;
                }
                self.rack_dark = Times(vec![self.stretch(rng, 0.1, 0.9)]);
            }
            5 => {
                for n in 0..self.backends.len() {
                    if rng.random_bool(0.3) {
                        self.backends[n].gone = Times(vec![self.stretch(rng, 0.05, 0.5)]);
                    }
                }
            }
            _ => {}
        }
        // Half of the panel cut off for good is a hair's breadth from the majority: with loss on top, that is the odds' business.
        let correlated = self.limited.is_some() || !self.bursts.0.is_empty() || !self.dead.0.is_empty();
        if correlated && (self.acl.is_some() || !self.rack_cut.0.is_empty()) {
            self.loss = 0.0;
        }
        if rng.random_bool(0.3) {
            self.ec2.errors = rng.random_range(0.05..0.3);
            self.ec2.lag = secs(rng.random_range(0.0..2.0));
        }
        if rng.random_bool(0.1) {
            self.ec2.down = Times(vec![self.stretch(rng, 0.02, 0.3)]);
        }
        if rng.random_bool(0.1) {
            for _ in 0..rng.random_range(1..4) {
                self.meddling.push(Meddling {
                    at: secs(rng.random_range(0.0..end)),
                    subnet: rng.random_range(0..self.subnets),
                    away: rng.random_bool(0.6),
                });
            }
            self.meddling.sort_by_key(|one| one.at);
        }
        if rng.random_bool(0.15) {
            for _ in 0..3 {
                let by = [-86_400, -60, 60, 7200, 31 * 86_400][rng.random_range(0..5)];
                self.wall_jumps.push((secs(rng.random_range(0.0..end) + unit), by));
            }
            self.wall_jumps.sort_unstable();
        } else if rng.random_bool(0.1) {
            // How long a pause lasts is known by the wall clock.
            self.paused = Times(vec![self.stretch(rng, 0.05, 0.5)]);
        }
    }
}

/// Whether at least two of every subnet are heard, or so few of each that one subnet is below the threshold.
fn panel_covers(heard: usize, subnets: usize) -> bool {
    heard / subnets >= 2
}
