//! The API's layer and IMDS, as a client inside the standby's namespace meets them. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is, helpers included")]

use std::time::{Duration, Instant};

use natwatch_lab::{ApiFault, ApiFaultKind, Hop, Lab, Nat, Options, Outcome, Run};

/// Plain HTTP from a host, spoken by bash; gives everything that came back.
fn http(lab: &Lab, host: &str, address: &str, request: &str) -> Run {
    let script = format!("exec 3<>/dev/tcp/{address}/80 && cat >&3 && cat <&3");
    lab.program(host, "bash", &["-c", &script]).stdin(request).timeout(Duration::from_secs(3)).run().unwrap()
}

/// An EC2 call from the standby through the layer.
fn call(lab: &Lab, form: &str) -> Run {
    let request = format!(
        "POST / HTTP/1.1\r\nHost: ec2\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=a/20200101/ap-northeast-1/ec2/aws4_request, SignedHeaders=host, Signature=0\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    http(lab, "nat2", "203.0.113.200", &request)
}

fn options() -> Options {
    let fast = Duration::from_millis(5);
    Options { backends: 1, subnets: 2, tls: false, describe_latency: fast, mutate_latency: fast, ..Options::default() }
}

/// The association id of private subnet 0, asked through the layer.
fn association(lab: &Lab) -> String {
    let subnet = &lab.ids().subnets[0].id;
    let form = format!(
        "Action=DescribeRouteTables&Version=2016-11-15&Filter.1.Name=association.subnet-id&Filter.1.Value.1={subnet}"
    );
    let text = call(lab, &form).stdout;
    let after = text.split("<associationSet>").nth(1).unwrap_or_else(|| panic!("{text}"));
    let item = after.split("<item>").find(|item| item.contains(subnet.as_str())).unwrap_or_else(|| panic!("{text}"));
    item.split("<routeTableAssociationId>").nth(1).unwrap().split('<').next().unwrap().to_owned()
}

fn replace(lab: &Lab, association: &str, table: &str, more: &str) -> Run {
    call(
        lab,
        &format!(
            "Action=ReplaceRouteTableAssociation&Version=2016-11-15&AssociationId={association}&RouteTableId={table}{more}"
        ),
    )
}

#[test]
fn a_move_by_the_api_moves_the_packets_before_the_reply() {
    let lab = Lab::up(&options()).unwrap();
    let (primary, standby) = (lab.ids().primary.table.clone(), lab.ids().standby.table.clone());
    let old = association(&lab);
    let run = replace(&lab, &old, &standby, "");
    assert!(run.stdout.starts_with("HTTP/1.1 200") && run.stdout.contains("newAssociationId"), "{run}");
    assert_eq!((lab.hop(0), lab.hop(1)), (Some(Hop::Nat(Nat::Standby)), Some(Hop::Nat(Nat::Primary))));
    assert_eq!(lab.carrier(0).unwrap(), standby);
    let stale = replace(&lab, &old, &primary, "");
    assert!(stale.stdout.contains("InvalidAssociationID.NotFound"), "{stale}");

    // Dry runs are answered and change nothing.
    let dry = replace(&lab, &association(&lab), &primary, "&DryRun=true");
    assert!(dry.stdout.starts_with("HTTP/1.1 412") && dry.stdout.contains("DryRunOperation"), "{dry}");
    assert_eq!(lab.carrier(0).unwrap(), standby);

    // Routes instead of associations; describes show instance, interface and state as EC2 does.
    let (instance, eni) = (&lab.ids().standby.instance, &lab.ids().standby.eni);
    let route = format!("&RouteTableId={primary}&DestinationCidrBlock=0.0.0.0/0&NetworkInterfaceId={eni}");
    let run = call(&lab, &format!("Action=ReplaceRoute&Version=2016-11-15{route}"));
    assert!(run.stdout.starts_with("HTTP/1.1 200"), "{run}");
    assert_eq!(lab.hop(1), Some(Hop::Nat(Nat::Standby)));
    let seen = call(&lab, &format!("Action=DescribeRouteTables&Version=2016-11-15&RouteTableId.1={primary}")).stdout;
    assert!(seen.contains(&format!("<instanceId>{instance}</instanceId>")) && seen.contains(eni.as_str()), "{seen}");
    lab.inject(&"standby-stopped".parse().unwrap()).unwrap();
    assert_eq!(lab.hop(1), Some(Hop::Blackhole));

    let log = lab.api().calls();
    let refused: Vec<_> =
        log.iter().filter(|call| matches!(call.outcome, Outcome::Refused(_))).map(|call| &call.action).collect();
    assert_eq!(refused, ["ReplaceRouteTableAssociation", "ReplaceRouteTableAssociation"]);
    assert_eq!(lab.api().mutations().len(), 3, "dry runs are no changes");
    assert!(log.iter().all(|call| call.took >= Duration::from_millis(5)), "latency");
}

#[test]
fn each_api_fault_does_what_it_says_as_often_as_it_says() {
    let lab = Lab::up(&options()).unwrap();
    let (primary, standby) = (lab.ids().primary.table.clone(), lab.ids().standby.table.clone());
    let arm = |kind: ApiFaultKind| lab.api().arm(ApiFault::new(kind).on("ReplaceRouteTableAssociation").times(1));
    for (kind, status, code) in [
        (ApiFaultKind::Error500, "HTTP/1.1 500", "InternalError"),
        (ApiFaultKind::Throttle, "HTTP/1.1 503", "RequestLimitExceeded"),
        (ApiFaultKind::Failed, "HTTP/1.1 200", "<state>failed</state>"),
    ] {
        arm(kind);
        let run = replace(&lab, &association(&lab), &standby, "");
        assert!(run.stdout.starts_with(status) && run.stdout.contains(code), "{kind}: {run}");
        assert_eq!(lab.carrier(0).unwrap(), primary, "{kind}: nothing is done");
    }
    arm(ApiFaultKind::Deny);
    let denied = replace(&lab, &association(&lab), &standby, "&DryRun=true");
    assert!(denied.stdout.contains("UnauthorizedOperation"), "denial comes before the dry run's answer: {denied}");
    arm(ApiFaultKind::Hang);
    let hung = replace(&lab, &association(&lab), &standby, "");
    assert!(hung.timed_out && hung.stdout.is_empty(), "{hung}");
    assert_eq!(lab.carrier(0).unwrap(), primary);
    arm(ApiFaultKind::Lost);
    let lost = replace(&lab, &association(&lab), &standby, "");
    assert!(!lost.timed_out && lost.stdout.is_empty(), "{lost}");
    assert_eq!(lab.carrier(0).unwrap(), standby, "done, though no reply came");
    assert_eq!(lab.api().mutations().last().unwrap().outcome, Outcome::Lost);

    lab.api().arm(ApiFault::new(ApiFaultKind::Stale).times(1).after(1));
    let before = association(&lab);
    assert!(replace(&lab, &before, &primary, "").stdout.starts_with("HTTP/1.1 200"));
    assert_eq!(association(&lab), before, "the old state once more");
    assert_ne!(association(&lab), before, "then the new one");
    lab.api().disarm(None);

    // Packets follow later.
    lab.inject(&"propagation 1000".parse().unwrap()).unwrap();
    let asked = Instant::now();
    assert!(replace(&lab, &association(&lab), &standby, "").stdout.starts_with("HTTP/1.1 200"));
    // The packets first: to ask EC2 takes a while.
    assert_eq!((lab.hop(0), lab.carrier(0).unwrap()), (Some(Hop::Nat(Nat::Primary)), standby));
    while lab.hop(0) != Some(Hop::Nat(Nat::Standby)) {
        assert!(asked.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(asked.elapsed() >= Duration::from_secs(1));

    lab.inject(&"api-down".parse().unwrap()).unwrap();
    assert!(call(&lab, "Action=DescribeRouteTables&Version=2016-11-15").timed_out);
    lab.heal_all().unwrap();
    assert!(call(&lab, "Action=DescribeRouteTables&Version=2016-11-15").stdout.starts_with("HTTP/1.1 200"));
}

#[test]
fn source_destination_check_is_one_switch_with_an_effect() {
    let lab = Lab::up(&options()).unwrap();
    let reaches = || lab.program("b0", "ping", &["-c1", "-W1", "203.0.113.1"]).run().unwrap().status == Some(0);
    let set = |value: &str| {
        let eni = &lab.ids().primary.eni;
        call(
            &lab,
            &format!(
                "Action=ModifyNetworkInterfaceAttribute&Version=2016-11-15&NetworkInterfaceId={eni}&SourceDestCheck.Value={value}"
            ),
        )
    };
    assert!(reaches());
    assert!(set("true").stdout.starts_with("HTTP/1.1 200"));
    assert!(!reaches());
    let seen =
        call(&lab, &format!("Action=DescribeInstances&Version=2016-11-15&InstanceId.1={}", lab.ids().primary.instance))
            .stdout;
    assert!(!seen.contains("<sourceDestCheck>false"), "the instance shows what was set at its interface: {seen}");
    assert!(set("false").stdout.starts_with("HTTP/1.1 200"));
    assert!(reaches());
}

#[test]
fn metadata_needs_a_token_and_tells_who_asks() {
    let lab = Lab::up(&options()).unwrap();
    let ask = |host: &str, method: &str, path: &str, header: &str| {
        http(
            &lab,
            host,
            "169.254.169.254",
            &format!("{method} /latest/{path} HTTP/1.1\r\nHost: imds\r\nConnection: close\r\n{header}\r\n\r\n"),
        )
    };
    let instance = "meta-data/instance-id";
    assert!(ask("nat2", "GET", instance, "X-None: 1").stdout.starts_with("HTTP/1.1 401"));
    let token = ask("nat2", "PUT", "api/token", "X-aws-ec2-metadata-token-ttl-seconds: 300").stdout;
    assert!(
        token.starts_with("HTTP/1.1 200") && token.contains("x-aws-ec2-metadata-token-ttl-seconds: 300"),
        "{token}"
    );
    let token = format!("X-aws-ec2-metadata-token: {}", token.lines().last().unwrap());
    assert!(ask("nat2", "GET", instance, &token).stdout.ends_with(&lab.ids().standby.instance));
    assert!(ask("nat1", "GET", instance, &token).stdout.ends_with(&lab.ids().primary.instance));
    let link = lab.program("nat2", "cat", &["/sys/class/net/eth0/address"]).run().unwrap();
    assert_eq!(link.stdout.trim(), lab.ids().standby.mac, "IMDS and the host agree on the interface");
    lab.inject(&"imds-down".parse().unwrap()).unwrap();
    assert!(ask("nat2", "GET", instance, &token).timed_out);
    lab.heal_all().unwrap();
    assert!(ask("nat2", "GET", instance, &token).stdout.ends_with(&lab.ids().standby.instance));
}

/// The AWS SDK for Python lives in moto's environment: TLS with the lab's authority, credentials from IMDS, a signed call.
#[test]
fn a_real_sdk_gets_along_with_it() {
    let lab = Lab::up(&Options { backends: 1, subnets: 1, ..Options::default() }).unwrap();
    let script = "import boto3; print([t['RouteTableId'] for t in \
                  boto3.client('ec2', region_name='ap-northeast-1').describe_route_tables()['RouteTables']])";
    let python = natwatch_lab::venv().join("bin/python");
    let run = lab
        .program("nat2", python.to_str().unwrap(), &["-c", script])
        .env("AWS_CA_BUNDLE", lab.plan().ca().to_str().unwrap())
        // By itself it asks the metadata service once, and waits a second.
        .env("AWS_METADATA_SERVICE_TIMEOUT", "10")
        .env("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3");
    // By its public name: the namespace's hosts file and the certificate both know it.
    let run = run.as_user().run().unwrap();
    assert!(run.status == Some(0) && run.stdout.contains(&lab.ids().standby.table), "{run}");
    assert_eq!(lab.api().calls().len(), 1);
}
