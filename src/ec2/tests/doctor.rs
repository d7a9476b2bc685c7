//! What `doctor` asks.

use super::*;
use crate::doctor::cloud::{Account as _, Answer, Network as _, Right};
use crate::model::{Packets, Way};

fn some_right() -> Right {
    Right::Associate("rtbassoc-0a".parse().unwrap(), "rtb-0b".parse().unwrap())
}

#[tokio::test]
async fn f057_a_right_is_asked_for_by_a_dry_run_and_the_answer_is_sorted() {
    let denied = "ReplaceRouteTableAssociation: the AWS credentials have expired";
    for (reply, expected) in [
        (fails(412, "DryRunOperation", "Request would have succeeded"), Some(Answer::Allowed)),
        (fails(403, "UnauthorizedOperation", "You are not authorized"), Some(Answer::Denied)),
        (fails(400, "RequestExpired", "x"), None),
        (
            fails(400, "InvalidParameterValue", "no"),
            Some(Answer::Unclear("ReplaceRouteTableAssociation: InvalidParameterValue: no".to_owned())),
        ),
    ] {
        let server = Server::with([reply]).await;
        let answer = server.ec2(quick()).may(&some_right()).await;
        match expected {
            Some(expected) => assert_eq!(answer, expected),
            None => assert!(matches!(&answer, Answer::Unsigned(why) if why.starts_with(denied)), "{answer:?}"),
        }
        assert!(server.asked()[0].contains("DryRun=true"), "{:?}", server.asked());
    }
}

#[tokio::test]
async fn f057_every_right_is_asked_for_as_a_dry_run_of_its_own_action() {
    let way = || Way { interface: Some("eni-0b".parse().unwrap()), instance: None };
    let rights = [
        Right::DescribeAddresses,
        Right::DescribeInstances,
        Right::DescribeNetworkAcls,
        Right::DescribeNetworkInterfaces,
        Right::DescribeRouteTables,
        Right::DescribeSecurityGroups,
        Right::DescribeSubnets,
        some_right(),
        Right::ReplaceRoute("rtb-0a".parse().unwrap(), "0.0.0.0/0".parse().unwrap(), way()),
        Right::CreateRoute("rtb-0a".parse().unwrap(), "0.0.0.0/0".parse().unwrap(), way()),
        Right::DeleteRoute("rtb-0a".parse().unwrap(), "0.0.0.0/0".parse().unwrap()),
        Right::DisableCheck("eni-0b".parse().unwrap()),
        Right::AssociateAddress("eipalloc-1".parse().unwrap(), way()),
        Right::DisassociateAddress("eipassoc-1".parse().unwrap()),
        Right::Reboot("i-0a".parse().unwrap()),
    ];
    assert_eq!(rights.len(), IAM_ACTIONS.len());
    for right in rights {
        let server = Server::with([fails(412, "DryRunOperation", "")]).await;
        assert_eq!(server.ec2(quick()).may(&right).await, Answer::Allowed);
        let asked = server.asked().remove(0);
        assert!(asked.contains(&format!("Action={}&", right.action())) && asked.contains("DryRun=true"), "{asked}");
        assert!(IAM_ACTIONS.contains(&right.action()), "{}", right.action());
    }
}

#[tokio::test]
async fn f003_where_calls_go_is_known_without_one() {
    let server = Server::with([]).await;
    let endpoint = server.ec2(quick()).endpoint().await.unwrap();
    assert_eq!(format!("http://{}:{}", endpoint.host, endpoint.port), server.url);
    assert_eq!(server.asked(), [""; 0]);
    // Without credentials too.
    let nobody = SharedCredentialsProvider::new(aws_config::environment::EnvironmentVariableCredentialsProvider::new());
    let endpoint = server.ec2_signed_by(nobody, quick()).endpoint().await.unwrap();
    assert_eq!(format!("http://{}:{}", endpoint.host, endpoint.port), server.url);
}

#[tokio::test]
async fn f109_groups_acls_and_interfaces_are_read_as_ec2_writes_them() {
    let groups = "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId><groupName>nat</groupName><ipPermissions>\
        <item><ipProtocol>tcp</ipProtocol><fromPort>443</fromPort><toPort>443</toPort><groups><item><groupId>sg-2</groupId></item></groups>\
        <ipRanges><item><cidrIp>10.0.0.0/16</cidrIp></item></ipRanges><ipv6Ranges/><prefixListIds><item><prefixListId>pl-1</prefixListId></item>\
        </prefixListIds></item></ipPermissions><ipPermissionsEgress><item><ipProtocol>-1</ipProtocol><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp>\
        </item></ipRanges></item></ipPermissionsEgress></item></securityGroupInfo></DescribeSecurityGroupsResponse>";
    let server = Server::with([Reply::Says(200, groups.to_owned())]).await;
    let found = server.ec2(quick()).groups(&["sg-1".parse().unwrap()]).await.unwrap();
    let rule = &found[0].ingress[0];
    assert_eq!((rule.what.clone(), rule.blocks[0].to_string().as_str()), (Packets::HTTPS, "10.0.0.0/16"));
    assert_eq!((rule.groups[0].as_str(), rule.lists.clone()), ("sg-2", vec!["pl-1".to_owned()]));
    assert_eq!((found[0].egress[0].what.clone(), found[0].name.as_deref()), (Packets::All, Some("nat")));

    let acls = "<DescribeNetworkAclsResponse><networkAclSet><item><networkAclId>acl-1</networkAclId><entrySet><item><ruleNumber>50</ruleNumber>\
        <protocol>1</protocol><ruleAction>deny</ruleAction><egress>true</egress><cidrBlock>0.0.0.0/0</cidrBlock><icmpTypeCode><code>-1</code>\
        <type>8</type></icmpTypeCode></item><item><ruleNumber>100</ruleNumber><protocol>6</protocol><ruleAction>allow</ruleAction>\
        <egress>false</egress><cidrBlock>10.0.0.0/8</cidrBlock><portRange><from>1024</from><to>65535</to></portRange></item></entrySet>\
        <associationSet><item><networkAclAssociationId>aclassoc-1</networkAclAssociationId><subnetId>subnet-1</subnetId></item></associationSet>\
        </item></networkAclSet></DescribeNetworkAclsResponse>";
    let server = Server::with([Reply::Says(200, acls.to_owned())]).await;
    let found = server.ec2(quick()).acls_in(&"vpc-1".parse().unwrap()).await.unwrap().remove(0);
    assert_eq!(found.subnets[0].as_str(), "subnet-1");
    let entries: Vec<_> =
        found.entries.iter().map(|one| (one.number, one.egress, one.allow, one.what.clone())).collect();
    assert_eq!(entries, [(50, true, false, Packets::PING), (100, false, true, Packets::ANSWERS)]);

    let interfaces = "<DescribeNetworkInterfacesResponse><networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId>\
        <subnetId>subnet-1</subnetId><attachment><instanceId>i-1</instanceId></attachment><groupSet><item><groupId>sg-1</groupId></item></groupSet>\
        <privateIpAddressesSet><item><privateIpAddress>10.0.10.10</privateIpAddress><association><publicIp>203.0.113.9</publicIp></association>\
        </item><item><privateIpAddress>10.0.10.11</privateIpAddress></item></privateIpAddressesSet></item></networkInterfaceSet>\
        </DescribeNetworkInterfacesResponse>";
    let server = Server::with([Reply::Says(200, interfaces.to_owned())]).await;
    let at = ["10.0.10.10".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let one = server.ec2(quick()).interfaces_at(&"vpc-1".parse().unwrap(), &at).await.unwrap().remove(0);
    assert_eq!(
        (one.addresses.len(), one.public[0].to_string().as_str(), one.groups[0].as_str()),
        (2, "10.0.10.10", "sg-1")
    );
    assert_eq!(one.instance.unwrap().as_str(), "i-1");
    let asked = server.asked().remove(0);
    assert!(
        asked.contains("addresses.private-ip-address") && asked.contains("vpc-id") && !asked.contains("2001"),
        "{asked}"
    );
}
