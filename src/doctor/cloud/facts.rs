//! What EC2 and IMDS say, asked in three steps: each needs ids that the one before has found.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::{join_all, ready};
use tokio::time::{Instant, timeout_at};

use super::way::{self, Way};
use super::{Account, Answer, Metadata, Network, Region, Right, Subject, permissions};
use crate::act::{Addresses, Held};
use crate::model::{
    Acl, Family, GroupId, Instance, InstanceId, InterfaceId, NetworkInterface, Route, RouteTable, SecurityGroup,
    Subnet, SubnetId, VpcId,
};
use crate::preflight::{Cloud, Identity};

/// Everything that was said. What was not asked, since it needs what was not answered, repeats why.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) metadata: Metadata,
    /// This instance by IMDS.
    pub(super) imds: Result<InstanceId, String>,
    pub(super) region: Result<Region, String>,
    /// The two tables of the configuration, those of them that exist.
    pub(super) tables: Result<Vec<RouteTable>, String>,
    /// This instance and the primary, as far as their ids are known and EC2 knows them.
    pub(super) instances: Result<Vec<Instance>, String>,
    /// Who has `takeover.elastic_ip`; `None`: it is not set.
    pub(super) address: Option<Result<Option<Held>, String>>,
    /// How this machine reaches EC2.
    pub(super) way: Way,
    /// All tables of the VPC.
    pub(super) all_tables: Result<Vec<RouteTable>, String>,
    /// All subnets of the VPC.
    pub(super) subnets: Result<Vec<Subnet>, String>,
    /// All ACLs of the VPC.
    pub(super) acls: Result<Vec<Acl>, String>,
    /// The interfaces of both instances.
    pub(super) interfaces: Result<Vec<NetworkInterface>, String>,
    /// The interfaces of the backends.
    pub(super) backends: Result<Vec<NetworkInterface>, String>,
    /// The groups of all these.
    pub(super) groups: Result<Vec<SecurityGroup>, String>,
    /// What the credentials allow of what the configuration needs; or why that could not be asked.
    pub(super) answers: Vec<(Right, Answer)>,
    /// The actions that could not be asked about, with why.
    pub(super) unasked: Vec<(&'static str, String)>,
}

impl Facts {
    /// The id of this instance.
    pub(super) fn identity<'a>(&'a self, subject: Subject<'a>) -> Option<&'a InstanceId> {
        subject.settings.preflight.standby_instance.as_ref().or(self.imds.as_ref().ok())
    }

    /// This instance, as EC2 has it.
    pub(super) fn standby<'a>(&'a self, subject: Subject<'a>) -> Option<&'a Instance> {
        let id = self.identity(subject)?;
        self.instance(id)
    }

    /// Any of the two instances.
    pub(super) fn instance(&self, id: &InstanceId) -> Option<&Instance> {
        self.instances.as_ref().ok()?.iter().find(|instance| &instance.id == id)
    }

    /// The primary's table and the standby's, where both exist.
    pub(super) fn pair(&self, subject: Subject<'_>) -> Option<(&RouteTable, &RouteTable)> {
        let rules = &subject.settings.decide;
        let tables = self.tables.as_ref().ok()?;
        let find = |id| tables.iter().find(|table| &table.id == id);
        find(&rules.primary_table).zip(find(&rules.standby_table))
    }

    /// The primary: as the configuration says; else where the default route of its table leads, unless that is here.
    pub(super) fn primary<'a>(&'a self, subject: Subject<'a>) -> Option<&'a InstanceId> {
        let led = || {
            let instance = self.led(subject)?.instance.as_ref();
            instance.filter(|id| Some(*id) != self.identity(subject))
        };
        subject.settings.decide.primary_instance.as_ref().or_else(led)
    }

    /// The default route of the primary's table.
    pub(super) fn led(&self, subject: Subject<'_>) -> Option<&Route> {
        let mut tables = self.tables.iter().flatten();
        let table = tables.find(|table| table.id == subject.settings.decide.primary_table)?;
        table.route(Family::V4.default_route())
    }

    /// A subnet with its `Name` tag, where it is known.
    pub(super) fn called(&self, subnet: &SubnetId) -> String {
        let known = self.subnets.iter().flatten().find(|one| &one.id == subnet);
        super::named(subnet, known.and_then(|one| one.name.as_deref()))
    }
}

/// How often IMDS is asked who this is, where it answers otherwise. Its bounds are those of a takeover, and beside all that `doctor` starts at
/// once the processor may be busy for longer.
const ASKED: usize = 3;

/// Who this is by IMDS; and, where it does not say, how it answers.
async fn ourselves(cloud: &(impl Account + Identity)) -> (Metadata, Result<InstanceId, String>) {
    let mut imds = cloud.instance().await;
    let mut metadata = Metadata::Answers;
    for _ in 1..ASKED {
        if imds.is_ok() {
            return (Metadata::Answers, imds);
        }
        metadata = cloud.metadata().await;
        if metadata != Metadata::Answers {
            break;
        }
        imds = cloud.instance().await;
    }
    (metadata, imds)
}

/// Asks everything, within `patience` in all.
pub(super) async fn gather(
    cloud: &(impl Account + Network + Cloud + Addresses + Identity),
    subject: Subject<'_>,
    patience: Duration,
) -> Facts {
    let until = Instant::now() + patience;
    let late = || format!("EC2 gave no answer within {:.0} s", patience.as_secs_f64());
    let settings = subject.settings;
    let rules = &settings.decide;
    let wanted = [rules.primary_table.clone(), rules.standby_table.clone()];
    let (metadata, imds) = ourselves(cloud).await;
    // The resolver has a bound of its own, below any patience.
    let (region, tables, address, way) = tokio::join!(
        cloud.region(),
        within(until, late, cloud.tables(&wanted)),
        async {
            let address = rules.elastic_ip.as_ref()?;
            Some(within(until, late, cloud.address(address)).await)
        },
        way::find(cloud),
    );
    let mut facts = Facts {
        metadata,
        imds,
        region,
        tables,
        instances: Ok(Vec::new()),
        address,
        way,
        all_tables: Ok(Vec::new()),
        subnets: Ok(Vec::new()),
        acls: Ok(Vec::new()),
        interfaces: Ok(Vec::new()),
        backends: Ok(Vec::new()),
        groups: Ok(Vec::new()),
        answers: Vec::new(),
        unasked: Vec::new(),
    };
    let both: BTreeSet<InstanceId> =
        facts.identity(subject).into_iter().chain(facts.primary(subject)).cloned().collect();
    let both: Vec<InstanceId> = both.into_iter().collect();
    let addresses: Vec<IpAddr> = subject.backends.iter().filter_map(|one| one.addr).filter(IpAddr::is_ipv4).collect();
    let vpc = facts.vpc(subject);
    let (instances, all_tables, subnets, acls, backends) = tokio::join!(
        within(until, late, unless_none(&both, || cloud.instances(&both))),
        within(until, late, of(&vpc, |vpc| cloud.tables_in(vpc))),
        within(until, late, of(&vpc, |vpc| cloud.subnets_in(vpc))),
        within(until, late, of(&vpc, |vpc| cloud.acls_in(vpc))),
        within(until, late, of(&vpc, |vpc| unless_none(&addresses, || cloud.interfaces_at(vpc, &addresses)))),
    );
    facts = Facts { instances, all_tables, subnets, acls, backends, ..facts };
    let (asked, unasked) = permissions::wanted(&facts, subject);
    facts.unasked = unasked;
    let ((interfaces, groups), answers) = tokio::join!(
        async {
            let ours = facts.interface_ids(subject);
            let interfaces = within(until, late, unless_none(&ours, || cloud.interfaces(&ours))).await;
            let groups = facts.group_ids(interfaces.as_deref().unwrap_or_default());
            let groups = within(until, late, unless_none(&groups, || cloud.groups(&groups))).await;
            (interfaces, groups)
        },
        join_all(asked.iter().map(|right| async {
            let unclear =
                || Answer::Unclear(format!("{}: no answer within {:.0} s", right.action(), patience.as_secs_f64()));
            timeout_at(until, cloud.may(right)).await.unwrap_or_else(|_| unclear())
        })),
    );
    let answers = asked.into_iter().zip(answers).collect();
    Facts { interfaces, groups, answers, ..facts }
}

impl Facts {
    /// The VPC of the tables; the primary's, where there are two.
    fn vpc(&self, subject: Subject<'_>) -> Result<VpcId, String> {
        let tables = self.tables.as_ref().map_err(Clone::clone)?;
        let primary = tables.iter().find(|table| table.id == subject.settings.decide.primary_table);
        let known = primary.or(tables.first()).map(|table| table.vpc.clone());
        known.ok_or_else(|| "neither of the two route tables exists".to_owned())
    }

    /// The interfaces of both instances, and the one that the primary's table leads to: it may be with an instance of another account.
    fn interface_ids(&self, subject: Subject<'_>) -> Vec<InterfaceId> {
        let of_both = self.instances.iter().flatten().flat_map(|instance| &instance.interfaces).map(|one| &one.id);
        let led = self.led(subject).and_then(|route| route.interface.as_ref());
        let ids: BTreeSet<&InterfaceId> = of_both.chain(led).collect();
        ids.into_iter().cloned().collect()
    }

    fn group_ids(&self, interfaces: &[NetworkInterface]) -> Vec<GroupId> {
        let all = interfaces.iter().chain(self.backends.iter().flatten());
        let ids: BTreeSet<&GroupId> = all.flat_map(|one| &one.groups).collect();
        ids.into_iter().cloned().collect()
    }
}

async fn within<T>(
    until: Instant,
    late: impl Fn() -> String,
    asking: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    timeout_at(until, asking).await.unwrap_or_else(|_| Err(late()))
}

/// Asks about the VPC, where it is known.
async fn of<'a, T, F: Future<Output = Result<T, String>>>(
    vpc: &'a Result<VpcId, String>,
    ask: impl FnOnce(&'a VpcId) -> F,
) -> Result<T, String> {
    match vpc {
        Ok(vpc) => ask(vpc).await,
        Err(why) => ready(Err(why.clone())).await,
    }
}

/// Nobody is asked about nothing: a filter without values finds all there is.
async fn unless_none<I, T, F: Future<Output = Result<Vec<T>, String>>>(
    ids: &[I],
    ask: impl FnOnce() -> F,
) -> Result<Vec<T>, String> {
    if ids.is_empty() { Ok(Vec::new()) } else { ask().await }
}
