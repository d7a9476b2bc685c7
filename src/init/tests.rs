//! A VPC as EC2 tells of it, for the tests of what is made of that.

use std::time::Duration;

use super::around::Around;
use crate::model::{Association, Instance, Interface, Machine, Route, RouteTable, Subnet};

fn machine(letter: char, name: &str, address: &str) -> Machine {
    Machine {
        instance: Instance {
            id: format!("i-0{letter}").parse().unwrap(),
            name: Some(name.to_owned()),
            state: "running".to_owned(),
            subnet: None,
            launched_ago: Some(Duration::from_hours(5)),
            interfaces: vec![Interface {
                id: format!("eni-0{letter}").parse().unwrap(),
                device_index: 0,
                source_dest_check: false,
            }],
        },
        vpc: "vpc-0".parse().ok(),
        address: address.parse().ok(),
    }
}

/// A table that leads to the machine of this letter; in the cases that EC2 knows only the interface, to that.
pub(super) fn table(id: &str, to: char, by_interface: bool, subnets: &[&str]) -> RouteTable {
    let association = |subnet: &&str| Association {
        id: format!("rtbassoc-{}", &subnet[7..]).parse().unwrap(),
        subnet: subnet.parse().ok(),
        main: false,
        failed: None,
    };
    RouteTable {
        id: id.parse().unwrap(),
        vpc: "vpc-0".parse().unwrap(),
        name: None,
        routes: vec![Route {
            destination: "0.0.0.0/0".to_owned(),
            instance: format!("i-0{to}").parse().ok().filter(|_| !by_interface),
            interface: format!("eni-0{to}").parse().ok(),
            other: None,
            blackhole: false,
        }],
        associations: subnets.iter().map(association).collect(),
    }
}

fn subnet(id: &str, cidr: &str) -> Subnet {
    Subnet { id: id.parse().unwrap(), name: Some(format!("private {id}")), cidrs: vec![cidr.parse().unwrap()] }
}

/// Two private subnets behind `nat1`, this instance beside it, and the NATs' own table.
pub(super) fn around() -> Around {
    let mut public = table("rtb-0f", 'f', true, &["subnet-9"]);
    public.routes[0] = Route { interface: None, other: Some("igw-0".to_owned()), ..public.routes[0].clone() };
    Around {
        region: Ok("eu-west-1".to_owned()),
        own: Ok(machine('b', "nat2", "10.0.0.20")),
        tables: Ok(vec![
            table("rtb-0a", 'a', false, &["subnet-1", "subnet-2"]),
            table("rtb-0b", 'b', true, &[]),
            public,
        ]),
        others: Ok(vec![machine('a', "nat1", "10.0.0.10")]),
        subnets: Ok(vec![subnet("subnet-1", "10.0.10.0/24"), subnet("subnet-2", "10.0.11.0/24")]),
    }
}
