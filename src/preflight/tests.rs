//! A hand-written EC2 and host, and what is asked of them.

use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::model::{Association, Guarded, GuardedSet, Route};

/// Longer than any fake takes.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Default)]
struct Ec2 {
    tables: Vec<RouteTable>,
    groups: Vec<SecurityGroup>,
    broken: Option<&'static str>,
    calls: RefCell<Vec<String>>,
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// A table with a default route of `v4` and these subnets.
fn table(name: &str, route: Option<Route>, subnets: &[&str]) -> RouteTable {
    let association = |subnet: &&str| Association {
        id: id(&format!("rtbassoc-{subnet}")),
        subnet: Some(id(&format!("subnet-{subnet}"))),
        main: false,
        failed: None,
    };
    let main = Association { id: id("rtbassoc-main"), subnet: None, main: true, failed: None };
    RouteTable {
        id: id(name),
        vpc: id("vpc-1"),
        name: None,
        routes: route.into_iter().collect(),
        associations: std::iter::once(main).chain(subnets.iter().map(association)).collect(),
    }
}

fn default_route(family: Family, instance: Option<&str>, blackhole: bool) -> Route {
    Route {
        destination: family.default_route().to_owned(),
        instance: instance.map(id),
        interface: None,
        other: None,
        blackhole,
    }
}

fn to_primary() -> Route {
    default_route(Family::V4, Some("i-0a"), false)
}

impl Ec2 {
    fn with(tables: Vec<RouteTable>) -> Self {
        Self { tables, ..Self::default() }
    }

    fn log(&self, call: String) -> Result<(), String> {
        let fails = self.broken.is_some_and(|broken| call.starts_with(broken));
        self.calls.borrow_mut().push(call);
        if fails { Err("no answer within 2 s".to_owned()) } else { Ok(()) }
    }
}

impl Cloud for Ec2 {
    async fn tables(&self, ids: &[RouteTableId]) -> Result<Vec<RouteTable>, String> {
        self.log(format!("tables {}", ids.len()))?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(self.tables.iter().filter(|table| ids.contains(&table.id)).cloned().collect())
    }

    async fn tables_of(&self, subnets: &[SubnetId]) -> Result<Vec<RouteTable>, String> {
        self.log(format!("tables of {}", subnets[0]))?;
        let has = |table: &&RouteTable| {
            table.associations.iter().any(|a| a.subnet.as_ref().is_some_and(|s| subnets.contains(s)))
        };
        Ok(self.tables.iter().filter(has).cloned().collect())
    }

    async fn instances(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, String> {
        self.log(format!("instances {}", ids.iter().map(InstanceId::as_str).collect::<Vec<_>>().join(" ")))?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let known = ids.iter().filter(|id| id.as_str() != "i-0gone");
        Ok(known
            .map(|id| Instance {
                id: id.clone(),
                name: None,
                state: "running".to_owned(),
                subnet: None,
                launched_ago: None,
                interfaces: Vec::new(),
            })
            .collect())
    }

    async fn subnets(&self, ids: &[SubnetId]) -> Result<Vec<Subnet>, String> {
        self.log(format!("subnets {}", ids.len()))?;
        Ok(ids
            .iter()
            .map(|id| Subnet {
                id: id.clone(),
                name: Some(format!("name of {id}")),
                cidrs: vec!["10.0.1.0/24".parse().unwrap()],
            })
            .collect())
    }

    async fn public(&self, subnets: &[SubnetId]) -> Result<Vec<std::net::IpAddr>, String> {
        self.log(format!("public addresses in {}", subnets.len()))?;
        Ok(vec!["10.0.1.7".parse().unwrap()])
    }

    async fn groups_of(&self, interface: &InterfaceId) -> Result<Option<Vec<SecurityGroup>>, String> {
        self.log(format!("groups of {interface}"))?;
        Ok(Some(self.groups.clone()))
    }
}

struct Machine {
    imds: Result<InstanceId, String>,
    forwards_v6: bool,
}

fn machine() -> Machine {
    Machine { imds: Ok(id("i-0b")), forwards_v6: false }
}

impl Host for Machine {
    async fn instance(&self) -> Result<InstanceId, String> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.imds.clone()
    }
    fn uptime(&self) -> Result<Duration, String> {
        Ok(Duration::from_mins(1))
    }
    fn forwards(&self, family: Family) -> Result<bool, String> {
        Ok(family == Family::V4 || self.forwards_v6)
    }
    async fn masquerade(&self) -> Masquerade {
        Masquerade::Present
    }
}

fn settings() -> PreflightSettings {
    PreflightSettings {
        primary_table: id("rtb-0a"),
        primary_instance: Some(id("i-0a")),
        standby_table: id("rtb-0b"),
        standby_instance: None,
        subnets: Vec::new(),
        method: Method::Association,
    }
}

fn both() -> Vec<RouteTable> {
    vec![
        table("rtb-0a", Some(to_primary()), &["1", "2"]),
        table("rtb-0b", Some(default_route(Family::V4, Some("i-0b"), false)), &["9"]),
    ]
}

fn on(set: &GuardedSet) -> Vec<(String, String)> {
    set.subnets.iter().map(|g| (g.subnet.to_string(), g.on.to_string())).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_survey_is_two_describes_at_once() {
    let ec2 = Ec2::with(both());
    let began = tokio::time::Instant::now();
    let survey = survey(&ec2, &machine(), &settings(), PATIENCE).await;
    assert!(began.elapsed() <= Duration::from_millis(120), "{:?}", began.elapsed());
    let mut calls = ec2.calls.take();
    calls.sort();
    assert_eq!(calls, ["instances i-0a i-0b", "tables 2"]);
    assert_eq!(survey.identity, Ok(id("i-0b")));
    assert_eq!(survey.standby.unwrap().unwrap().id, id("i-0b"));
    assert_eq!(survey.primary.unwrap().unwrap().unwrap().id, id("i-0a"));
    assert_eq!(
        (survey.ip_forward, survey.masquerade, survey.tables.unwrap().len()),
        (Ok(true), Masquerade::Present, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn f058_a_configured_id_works_without_imds() {
    let down = Machine { imds: Err("IMDS is down; set standby.instance".to_owned()), ..machine() };
    let pinned = PreflightSettings { standby_instance: Some(id("i-0b")), ..settings() };
    let seen = survey(&Ec2::with(both()), &down, &pinned, PATIENCE).await;
    assert_eq!(seen.identity, Ok(id("i-0b")));
    assert!(seen.standby.unwrap().is_some());
    // Not configured: unknown, and the primary is still looked at.
    let seen = survey(&Ec2::with(both()), &down, &settings(), PATIENCE).await;
    assert_eq!(seen.identity, Err("IMDS is down; set standby.instance".to_owned()));
    assert_eq!(seen.standby, Err("IMDS is down; set standby.instance".to_owned()));
    assert!(seen.primary.unwrap().unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn f059_a_clone_with_a_copied_configuration_is_found_out() {
    let pinned = PreflightSettings { standby_instance: Some(id("i-0c")), ..settings() };
    let error = identity(&machine(), &pinned).await.unwrap_err();
    assert_eq!(error, IdentityError::Another { configured: id("i-0c"), actual: id("i-0b") });
    let seen = survey(&Ec2::with(both()), &machine(), &pinned, PATIENCE).await;
    assert!(seen.identity.unwrap_err().starts_with("standby.instance is i-0c, but this is i-0b by IMDS"));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_asked_is_told_apart_from_what_is_not_there() {
    let ec2 = Ec2 { broken: Some("instances"), ..Ec2::with(both()) };
    let seen = survey(&ec2, &machine(), &settings(), PATIENCE).await;
    assert_eq!(seen.standby, Err("no answer within 2 s".to_owned()));
    assert_eq!(seen.primary, Some(Err("no answer within 2 s".to_owned())));
    assert!(seen.tables.is_ok(), "one failed reading spoils no other");

    let gone = PreflightSettings { primary_instance: Some(id("i-0gone")), ..settings() };
    let seen = survey(&Ec2::with(Vec::new()), &machine(), &gone, PATIENCE).await;
    assert_eq!((seen.primary, seen.tables), (Some(Ok(None)), Ok(Vec::new())));
}

#[tokio::test(start_paused = true)]
async fn a_listed_subnet_on_neither_table_is_looked_for() {
    let ec2 = Ec2::with([both(), vec![table("rtb-0c", None, &["7"])]].concat());
    let listed = PreflightSettings { subnets: vec![id("subnet-1"), id("subnet-7"), id("subnet-8")], ..settings() };
    let seen = survey(&ec2, &machine(), &listed, PATIENCE).await;
    assert!(ec2.calls.borrow().contains(&"tables of subnet-7".to_owned()));
    assert_eq!(
        seen.tables.unwrap().iter().map(|t| t.id.to_string()).collect::<Vec<_>>(),
        ["rtb-0a", "rtb-0b", "rtb-0c"]
    );

    let set = guarded_set(&ec2, &listed, None, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(
        on(&set),
        pairs(&[("subnet-1", "rtb-0a"), ("subnet-7", "rtb-0c")]),
        "exactly those; one on no table is on none"
    );
}

#[tokio::test(start_paused = true)]
async fn guarded_are_the_primarys_subnets_and_what_was_taken_over() {
    let ec2 = Ec2::with(both());
    let first = guarded_set(&ec2, &settings(), None, Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(on(&first), pairs(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0a")]));
    assert_eq!(
        (first.subnets[0].name.as_deref(), first.families.as_slice()),
        (Some("name of subnet-1"), &[Family::V4][..])
    );
    assert_eq!(first.public, ["10.0.1.7".parse::<std::net::IpAddr>().unwrap()]);

    // subnet-1 was taken over, subnet-2 was given to somebody else; subnet-9 is the standby's own, subnet-3 is new.
    let ec2 = Ec2::with(vec![
        table("rtb-0a", Some(default_route(Family::V4, None, true)), &["3"]),
        table("rtb-0b", None, &["1", "9"]),
        table("rtb-0c", None, &["2"]),
    ]);
    let next = guarded_set(&ec2, &settings(), Some(&first), Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(on(&next), pairs(&[("subnet-1", "rtb-0b"), ("subnet-3", "rtb-0a")]));
    assert_eq!(next.families, [Family::V4], "a blackhole is what is left of a dead instance's route");
}

#[tokio::test(start_paused = true)]
async fn f045_where_ec2_does_not_say_who_has_a_public_address_the_set_is_not_refreshed() {
    let ec2 = Ec2 { broken: Some("public addresses in"), ..Ec2::with(both()) };
    let answer = guarded_set(&ec2, &settings(), None, Timestamp::UNIX_EPOCH).await;
    assert_eq!(answer, Err("no answer within 2 s".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn f066_memory_of_another_primary_makes_nothing_ours() {
    let other = GuardedSet {
        version: 1,
        primary: id("rtb-0z"),
        standby: id("rtb-0b"),
        subnets: vec![Guarded { subnet: id("subnet-9"), name: None, cidrs: Vec::new(), on: id("rtb-0b") }],
        families: Vec::new(),
        public: Vec::new(),
        leads_to: None,
        admission: None,
        tables: None,
        own: None,
        names: crate::model::Names::new(),
        seen: Timestamp::UNIX_EPOCH,
    };
    let set = guarded_set(&Ec2::with(both()), &settings(), Some(&other), Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(on(&set), pairs(&[("subnet-1", "rtb-0a"), ("subnet-2", "rtb-0a")]));
}

#[tokio::test(start_paused = true)]
async fn f056_a_primary_table_that_does_not_exist_is_an_error_and_never_an_empty_set() {
    let error = guarded_set(&Ec2::default(), &settings(), None, Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert!(error.starts_with("primary.route_table: rtb-0a does not exist"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn f085_ipv6_counts_where_the_primary_carries_it() {
    let mut tables = both();
    assert_eq!(families(&settings(), &tables), [Family::V4]);
    // An egress-only gateway is not the primary.
    tables[0].routes.push(Route { other: Some("eigw-1".to_owned()), ..default_route(Family::V6, None, false) });
    assert_eq!(families(&settings(), &tables), [Family::V4]);
    tables[0].routes.pop();
    tables[0].routes.push(default_route(Family::V6, Some("i-0a"), false));
    assert_eq!(families(&settings(), &tables), [Family::V4, Family::V6]);
    for elsewhere in [None, Some("eigw-1")] {
        let mut tables = tables.clone();
        let way = |id: &str| Route { other: Some(id.to_owned()), ..default_route(Family::V6, None, false) };
        tables[1].routes.extend(elsewhere.map(way));
        let seen = survey(&Ec2::with(tables), &machine(), &settings(), PATIENCE).await;
        assert_eq!(
            (seen.ip_forward, seen.ip_forward_of),
            (Ok(true), Family::V4),
            "{elsewhere:?}: none of it comes here"
        );
    }
    tables[1].routes.push(default_route(Family::V6, Some("i-0b"), false));
    let seen = survey(&Ec2::with(tables.clone()), &machine(), &settings(), PATIENCE).await;
    assert_eq!((seen.ip_forward, seen.ip_forward_of), (Ok(false), Family::V6), "IPv6 comes here and is not forwarded");
    // By routes, what is not among the destinations stays where it is.
    let seen = survey(&Ec2::with(tables.clone()), &machine(), &by_routes(&["0.0.0.0/0"]), PATIENCE).await;
    assert_eq!((seen.ip_forward, seen.ip_forward_of), (Ok(true), Family::V4), "IPv6 is not moved");
    let seen = survey(&Ec2::with(tables), &Machine { forwards_v6: true, ..machine() }, &settings(), PATIENCE).await;
    assert_eq!(seen.ip_forward, Ok(true));
}

/// Both tables with these routes, and two subnets on the primary's.
fn routed(primary: Vec<Route>, standby: Vec<Route>) -> Vec<RouteTable> {
    let mut tables = vec![table("rtb-0a", None, &["1", "2"]), table("rtb-0b", None, &["9"])];
    tables[0].routes = primary;
    tables[1].routes = standby;
    tables
}

fn by_routes(destinations: &[&str]) -> PreflightSettings {
    let destinations = destinations.iter().map(|one| one.parse().unwrap()).collect();
    PreflightSettings { method: Method::Route { destinations }, ..settings() }
}

#[test]
fn where_routes_are_moved_the_standby_has_what_is_on_the_primarys_table_once_all_of_them_lead_to_it() {
    let to = |destination: &str, instance: &str| Route {
        destination: destination.to_owned(),
        ..default_route(Family::V4, Some(instance), false)
    };
    let standby = || vec![to("0.0.0.0/0", "i-0b"), to("::/0", "i-0b")];
    let on = |settings: &PreflightSettings, primary: Vec<Route>| {
        let set = make_guarded(settings, &routed(primary, standby()), &[], None, Timestamp::UNIX_EPOCH);
        set.subnets.iter().map(|one| one.on.to_string()).collect::<Vec<_>>()
    };
    let both = by_routes(&["0.0.0.0/0", "::/0", "10.9.9.9/32"]);
    let here = || vec![to("0.0.0.0/0", "i-0b"), to("::/0", "i-0b"), to("10.9.9.9/32", "i-0b")];
    assert_eq!(on(&both, here()), ["rtb-0b", "rtb-0b"]);
    for left in 0..3 {
        let mut some = here();
        some[left].instance = Some(id("i-0a"));
        assert_eq!(on(&both, some), ["rtb-0a", "rtb-0a"], "one is still the primary's");
        let mut missing = here();
        missing.remove(left);
        assert_eq!(on(&both, missing), ["rtb-0a", "rtb-0a"], "one is missing");
    }
    assert_eq!(on(&settings(), here()), ["rtb-0a", "rtb-0a"], "where associations are moved, a table is a table");
}

#[test]
fn the_primary_is_remembered_as_whom_its_table_last_led_to_unless_that_is_this_instance_or_nobody() {
    let routes = by_routes(&["10.9.9.9/32", "0.0.0.0/0"]);
    let seen = |primary: Vec<Route>, previous: Option<&GuardedSet>| {
        make_guarded(
            &routes,
            &routed(primary, vec![default_route(Family::V4, Some("i-0b"), false)]),
            &[],
            previous,
            Timestamp::UNIX_EPOCH,
        )
    };
    let first = seen(vec![to_primary()], None);
    assert_eq!(first.leads_to.as_ref().unwrap().to_string(), "i-0a");
    for nobody in [
        vec![default_route(Family::V4, Some("i-0b"), false)],
        vec![default_route(Family::V4, Some("i-0z"), true)],
        vec![Route { other: Some("igw-1".to_owned()), ..default_route(Family::V4, None, false) }],
        Vec::new(),
    ] {
        assert_eq!(seen(nobody.clone(), Some(&first)).leads_to, first.leads_to, "{nobody:?}");
        assert_eq!(seen(nobody, None).leads_to, None);
    }
    assert_eq!(
        seen(vec![default_route(Family::V4, Some("i-0c"), false)], Some(&first)).leads_to.unwrap().to_string(),
        "i-0c"
    );
    let plain = make_guarded(&settings(), &routed(vec![to_primary()], Vec::new()), &[], None, Timestamp::UNIX_EPOCH);
    assert_eq!(plain.leads_to, None, "where associations are moved the table itself tells");
}

#[tokio::test(start_paused = true)]
async fn f109_the_standbys_groups_are_looked_at_once_an_hour_and_each_time_while_they_refuse() {
    let group = SecurityGroup { id: id("sg-1"), name: None, ingress: Vec::new(), egress: Vec::new() };
    let open = SecurityGroup {
        ingress: vec![crate::model::GroupRule {
            what: crate::model::Packets::All,
            blocks: vec!["10.0.0.0/8".parse().unwrap()],
            groups: Vec::new(),
            lists: Vec::new(),
        }],
        ..group.clone()
    };
    let mut tables = both();
    tables[1].routes = vec![Route { interface: Some(id("eni-0b")), ..default_route(Family::V4, Some("i-0b"), false) }];
    let at = |minutes: i64| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_mins(minutes);
    let ask = async |group: &SecurityGroup, known: Option<&GuardedSet>, minutes, broken| {
        let ec2 = Ec2 { groups: vec![group.clone()], broken, ..Ec2::with(tables.clone()) };
        let set = guarded_set(&ec2, &settings(), known, at(minutes)).await.unwrap();
        let looked = ec2.calls.into_inner().iter().any(|call| call == "groups of eni-0b");
        (set, looked)
    };
    let (refused, looked) = ask(&group, None, 0, None).await;
    assert!(looked && refused.refuses());
    assert_eq!(refused.admission.as_ref().unwrap().refused, [id("subnet-1"), id("subnet-2")]);
    let (mended, looked) = ask(&open, Some(&refused), 1, None).await;
    assert!(looked && !mended.refuses());
    let (kept, looked) = ask(&group, Some(&mended), 60, None).await;
    assert!(!looked && kept.admission == mended.admission);
    let (seen, looked) = ask(&group, Some(&kept), 61, None).await;
    assert!(looked && seen.refuses());
    // Who may not look is told nothing, keeps nothing, and does not ask each time.
    let (blind, looked) = ask(&group, Some(&seen), 62, Some("groups of")).await;
    assert!(looked && !blind.refuses());
    assert!(!ask(&group, Some(&blind), 63, None).await.1);
}

#[tokio::test(start_paused = true)]
async fn f060_a_guarded_subnet_is_forgotten_only_where_ec2_shows_it_elsewhere_or_twice_nowhere() {
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let shows = |home: &[&str], away: &[&str], third: &[&str]| {
        Ec2::with(vec![
            table("rtb-0a", Some(to_primary()), home),
            table("rtb-0b", None, away),
            table("rtb-0c", None, third),
        ])
    };
    let mut taken = guarded_set(&shows(&["1", "2"], &["9"], &[]), &settings(), None, at(0)).await.unwrap();
    for one in &mut taken.subnets {
        one.on = id("rtb-0b");
    }
    let both = pairs(&[("subnet-1", "rtb-0b"), ("subnet-2", "rtb-0b")]);
    let half = shows(&[], &["2", "9"], &[]);
    let first = guarded_set(&half, &settings(), Some(&taken), at(300)).await.unwrap();
    assert_eq!((on(&first), half_shown(&first)), (both.clone(), true), "while it is moved it may be shown nowhere");
    assert!(half.calls.borrow().contains(&"tables of subnet-1".to_owned()), "a third table would have been seen");
    assert!(half.calls.borrow().contains(&"public addresses in 2".to_owned()), "what is kept is kept whole");
    assert_eq!(first.subnets[0].cidrs.len(), 1);
    let none = guarded_set(&shows(&[], &[], &[]), &settings(), Some(&taken), at(300)).await.unwrap();
    assert_eq!((on(&none), half_shown(&none)), (both.clone(), true), "nor is the last one forgotten");

    let then = guarded_set(&shows(&[], &["1", "2", "9"], &[]), &settings(), Some(&first), at(310)).await.unwrap();
    assert_eq!((on(&then), half_shown(&then)), (both.clone(), false));
    let soon = guarded_set(&half, &settings(), Some(&first), at(329)).await.unwrap();
    assert_eq!(on(&soon), both, "twice, and within the time that a change may take");
    let gone = pairs(&[("subnet-2", "rtb-0b")]);
    let late = guarded_set(&half, &settings(), Some(&first), at(330)).await.unwrap();
    assert_eq!((on(&late), half_shown(&late)), (gone.clone(), false), "somebody has taken it off");
    let elsewhere = guarded_set(&shows(&[], &["2"], &["1"]), &settings(), Some(&taken), at(300)).await.unwrap();
    assert_eq!((on(&elsewhere), half_shown(&elsewhere)), (gone, false), "somebody else has it");

    let listed = PreflightSettings { subnets: vec![id("subnet-1")], ..settings() };
    let one = guarded_set(&half, &listed, Some(&taken), at(300)).await.unwrap();
    assert_eq!(on(&one), pairs(&[("subnet-1", "rtb-0b")]), "what is not listed is not kept either");
    let other = PreflightSettings { standby_table: id("rtb-0c"), ..settings() };
    let set = guarded_set(&half, &other, Some(&taken), at(300)).await.unwrap();
    assert_eq!(on(&set), [], "memory of another standby's subnets says nothing about this one's");
}
