//! Who this is, who the primary is, and what the credentials allow.

use super::*;

#[test]
fn f058_what_is_wrong_with_the_metadata_service_is_named_with_its_remedy() {
    for (metadata, text, remedy) in [
        (Metadata::SwitchedOff, "AWS_EC2_METADATA_DISABLED", "unset AWS_EC2_METADATA_DISABLED"),
        (Metadata::Absent, "no connection", "ip route get 169.254.169.254"),
        (Metadata::TokenLost(401), "too few hops", "--http-put-response-hop-limit 2"),
        (Metadata::TokenRefused(403, Some(403)), "switched off for this instance", "--http-endpoint enabled"),
        (
            Metadata::TokenRefused(404, Some(200)),
            "version 1 only (a token is refused with HTTP 404): what stands before 169.254.169.254 must let version 2 through",
            "iptables -t nat -S",
        ),
        (Metadata::TokenRefused(500, None), "HTTP 500", "--http-endpoint enabled"),
        (Metadata::Silent, "says nothing", "iptables -t nat -S"),
    ] {
        let down = |facts: &mut Facts| (facts.metadata, facts.imds) = (metadata, Err("IMDS failed".to_owned()));
        // Whom the configuration names needs no service to be known by.
        only(troubles_with(&[("standby", "instance = \"i-0b\"")], down), "imds", Fitness::Warning, text, remedy);
        let found = troubles(down);
        assert_eq!((found[0].id, found[0].fitness), ("imds", Fitness::Unfit), "{found:?}");
        assert!(found.iter().any(|one| one.id == "standby-instance" && one.fitness == Fitness::Unfit), "{found:?}");
    }
}

#[test]
fn f059_a_clone_is_told_that_it_is_one() {
    let found = troubles_with(&[("standby", "instance = \"i-0b\"")], |facts| facts.imds = Ok(id("i-0c")));
    only(
        found,
        "standby-instance",
        Fitness::Unfit,
        "standby.instance is i-0b, but this is i-0c by IMDS: a clone, and natwatch does not run here; a clone that is no standby is to be without natwatch",
        "standby.instance: instance = \"i-0c\"",
    );
}

#[test]
fn an_instance_that_ec2_does_not_know_is_in_another_region_or_account() {
    let found = troubles(|facts| facts.instances.as_mut().unwrap().retain(|one| one.id.as_str() != "i-0b"));
    let one = found.iter().find(|one| one.id == "standby-instance").unwrap();
    assert_eq!(one.fitness, Fitness::Unfit);
    assert!(one.text.contains("EC2 does not know"), "{one:?}");
    only(
        troubles(|facts| facts.region = Err("no AWS region: IMDS failed".to_owned())),
        "region",
        Fitness::Unfit,
        "no AWS region",
        "standby.region: region = ",
    );
}

#[test]
fn the_primary_is_there_runs_and_is_another_instance_than_this() {
    let primary = [("primary", "instance = \"i-0a\"")];
    let gone = |facts: &mut Facts| facts.instances.as_mut().unwrap().retain(|one| one.id.as_str() != "i-0a");
    let remedy = "aws ec2 describe-instances --instance-ids i-0a";
    let one = only(troubles_with(&primary, gone), "primary-instance", Fitness::Warning, "not known to EC2", remedy);
    assert_eq!(one.remedy.as_deref(), Some(remedy));
    assert!(
        crate::doctor::tests::to_do(&one).ends_with("primary.instance: instance = \"the primary's id\""),
        "{one:?}"
    );
    let stopped = |facts: &mut Facts| facts.instances.as_mut().unwrap()[0].state = "stopped".to_owned();
    only(
        troubles_with(&primary, stopped),
        "primary-instance",
        Fitness::Warning,
        "i-0a (nat1), is stopped",
        "start-instances",
    );
    let own = [("primary", "instance = \"i-0b\"")];
    let found = troubles_with(&own, |_| {});
    let one = found.iter().find(|one| one.id == "primary-instance").unwrap();
    assert!(one.fitness == Fitness::Unfit && one.text.contains("this very instance"), "{one:?}");
}

#[test]
fn f057_missing_and_expired_credentials_are_one_finding() {
    let why = "DescribeRouteTables: no AWS credentials; give this instance a role".to_owned();
    let found = troubles(|facts| facts.answers = vec![(Right::DescribeRouteTables, Answer::Unsigned(why))]);
    only(found, "credentials", Fitness::Unfit, "no AWS credentials", "aws sts get-caller-identity");
    let why = "DescribeRouteTables: no answer within 2.0 s".to_owned();
    let found = troubles(|facts| facts.answers = vec![(Right::DescribeRouteTables, Answer::Unclear(why))]);
    only(found, "credentials", Fitness::Unknown, "no answer within 2.0 s", "aws sts get-caller-identity");
}

#[test]
fn f057_each_action_that_is_refused_is_named_with_what_it_is_needed_for() {
    let interface = || id("eni-0b");
    let way = || crate::model::Way { interface: Some(interface()), instance: None };
    for (right, fitness, text) in [
        (Right::DescribeRouteTables, Fitness::Unfit, "nothing is moved"),
        (Right::DescribeNetworkAcls, Fitness::Warning, "groups and ACLs"),
        (Right::Associate(id("rtbassoc-1"), id("rtb-0b")), Fitness::Unfit, "nothing is moved"),
        (Right::ReplaceRoute(id("rtb-0a"), "0.0.0.0/0".parse().unwrap(), way()), Fitness::Unfit, "nothing is moved"),
        (Right::DeleteRoute(id("rtb-0a"), "0.0.0.0/0".parse().unwrap()), Fitness::Warning, "failback"),
        (Right::DisableCheck(interface()), Fitness::Warning, "which is off"),
        (Right::AssociateAddress(id("eipalloc-1"), way()), Fitness::Unfit, "does not come along"),
        (Right::Reboot(id("i-0a")), Fitness::Warning, "not rebooted"),
    ] {
        let action = right.action();
        let found = troubles(|facts| facts.answers.push((right, Answer::Denied)));
        let one = only(found, "action", fitness, text, "natwatch print iam-policy");
        assert!(one.text.starts_with(&format!("ec2:{action} is not allowed: ")), "{one:?}");
        assert_eq!(one.of.as_deref(), Some(action));
    }
    let unclear = Answer::Unclear("Reboot: RequestLimitExceeded".to_owned());
    let found = troubles(|facts| facts.answers.push((Right::Reboot(id("i-0a")), unclear)));
    only(found, "action", Fitness::Unknown, "RequestLimitExceeded", "natwatch doctor");
    let found = troubles(|facts| facts.unasked.push(("ReplaceRoute", "no interface".to_owned())));
    only(found, "action", Fitness::Warning, "could not be asked about: no interface", "");
}

#[test]
fn f057_a_policy_that_is_narrowed_to_some_subnets_or_one_table_is_told_with_the_subnet() {
    let to = |one: &str, table: &str| Right::Associate(id(&format!("rtbassoc-{one}")), id(table));
    let each = |first: Answer, second: Answer, back: Answer, second_back: Answer| {
        move |facts: &mut Facts| {
            let there = [(to("1", "rtb-0b"), first), (to("2", "rtb-0b"), second)];
            let back = [(to("1", "rtb-0a"), back), (to("2", "rtb-0a"), second_back)];
            facts.answers.extend(there.into_iter().chain(back));
        }
    };
    let answers = |first: Answer, second: Answer, back: Answer| each(first, second, back.clone(), back);
    let allowed = || Answer::Allowed;
    assert_eq!(troubles(answers(allowed(), allowed(), allowed())), []);
    let found = troubles(answers(allowed(), Answer::Denied, allowed()));
    let text = "ec2:ReplaceRouteTableAssociation is not allowed for subnet-2 (private-2): it is not moved";
    let one = only(found, "action", Fitness::Unfit, text, "natwatch print iam-policy");
    assert_eq!(one.of.as_deref(), Some("subnet-2"));
    let found = troubles(answers(Answer::Denied, Answer::Denied, allowed()));
    only(found, "action", Fitness::Unfit, "ec2:ReplaceRouteTableAssociation is not allowed: nothing is moved", "");
    let found = troubles(answers(allowed(), allowed(), Answer::Denied));
    let text = "is not allowed: failback can't move subnets back to the primary's table";
    only(found, "action", Fitness::Warning, text, "natwatch print iam-policy");
    // Of the way back too, each is asked about.
    let found = troubles(each(allowed(), allowed(), allowed(), Answer::Denied));
    let text = "ec2:ReplaceRouteTableAssociation is not allowed for subnet-2 (private-2): failback can't move it back";
    let one = only(found, "action", Fitness::Warning, text, "natwatch print iam-policy");
    assert_eq!(one.of.as_deref(), Some("subnet-2"));
    // What is unclear of each is said once; what is refused somewhere is not said to be allowed.
    let unclear = || Answer::Unclear("ReplaceRouteTableAssociation: RequestLimitExceeded".to_owned());
    only(troubles(answers(unclear(), unclear(), unclear())), "action", Fitness::Unknown, "RequestLimitExceeded", "");
    let mut facts = facts();
    answers(allowed(), Answer::Denied, allowed())(&mut facts);
    let found = super::found(&facts, &settings(&[]));
    let one = found.iter().find(|one| one.id == "allowed").unwrap();
    assert_eq!(one.text, "allowed, by DryRun: DescribeRouteTables");
}
