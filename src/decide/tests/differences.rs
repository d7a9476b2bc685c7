//! What subnets lose besides, when they are moved.

use super::gates::survey;
use super::support::settings;
use crate::decide::differences;
use crate::model::Route;

fn to(destination: &str, target: &str) -> Route {
    Route {
        destination: destination.to_owned(),
        instance: None,
        interface: None,
        other: Some(target.to_owned()),
        blackhole: false,
    }
}

#[test]
fn f055_routes_that_the_standbys_table_lacks_are_named_and_default_routes_are_not() {
    let told = |primary: &[Route], standby: &[Route]| {
        let mut survey = survey();
        let tables = survey.tables.as_mut().unwrap();
        tables[0].routes.extend_from_slice(primary);
        tables[1].routes.extend_from_slice(standby);
        differences(&survey, &settings())
    };
    let local = to("10.0.0.0/16", "local");
    assert_eq!(told(&[], &[]), None);
    let defaults = [to("0.0.0.0/0", "i-0a"), to("::/0", "i-0a")];
    assert_eq!(told(&defaults, &[]), None, "those differ on purpose");
    let same = [local.clone(), to("10.9.0.0/16", "pcx-1")];
    assert_eq!(told(&same, &same), None);
    assert_eq!(told(std::slice::from_ref(&local), &same), None, "more than the primary has is no loss");
    assert_eq!(
        told(&[local.clone(), to("10.9.0.0/16", "pcx-1"), to("pl-1", "vpce-1")], &[local, to("pl-1", "vpce-2")])
            .unwrap(),
        "rtb-0b has not all the routes of rtb-0a, and who is moved loses them: 10.9.0.0/16 to pcx-1, pl-1 to vpce-1 (there: vpce-2)"
    );
    let many: Vec<Route> = (0..7).map(|n| to(&format!("10.{n}.0.0/16"), "vgw-1")).collect();
    let said = told(&many, &[]).unwrap();
    assert!(said.ends_with("10.4.0.0/16 to vgw-1, and 2 more"), "{said}");
}
