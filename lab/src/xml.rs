//! Reads EC2's XML, and completes moto's answers where EC2 says more. Pure.

use std::collections::BTreeMap;

use anyhow::Context as _;
use roxmltree::{Document, Node};

/// First child element of that name.
pub(crate) fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children().find(|child| child.has_tag_name_any(name))
}

/// Text of the first child of that name; `None` where it is absent or empty.
pub(crate) fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim).filter(|text| !text.is_empty())
}

/// The `<item>`s of the first child of that name.
pub(crate) fn items<'a, 'b>(node: Node<'a, 'b>, set: &str) -> Vec<Node<'a, 'b>> {
    child(node, set).into_iter().flat_map(|set| set.children().filter(|item| item.has_tag_name_any("item"))).collect()
}

/// Local names only: EC2's namespace differs between API versions.
trait AnyNamespace {
    fn has_tag_name_any(&self, name: &str) -> bool;
}

impl AnyNamespace for Node<'_, '_> {
    fn has_tag_name_any(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// Text of the first element of that name anywhere.
pub(crate) fn first(xml: &str, name: &str) -> anyhow::Result<String> {
    let document = Document::parse(xml).context("EC2's answer is no XML")?;
    let node = document.descendants().find(|node| node.has_tag_name_any(name));
    let text = node.and_then(|node| node.text()).map(|text| text.trim().to_owned());
    text.with_context(|| format!("EC2's answer has no {name}: {xml}"))
}

/// An instance as far as routes are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) eni: String,
    pub(crate) running: bool,
    /// Source/destination check.
    pub(crate) checked: bool,
    pub(crate) mac: String,
}

/// Instances by id, from `DescribeInstances`.
pub(crate) fn instances(xml: &str) -> anyhow::Result<BTreeMap<String, Instance>> {
    let document = Document::parse(xml).context("DescribeInstances is no XML")?;
    let mut found = BTreeMap::new();
    for reservation in items(document.root_element(), "reservationSet") {
        for item in items(reservation, "instancesSet") {
            let Some(id) = text(item, "instanceId") else { continue };
            let state = child(item, "instanceState").and_then(|state| text(state, "name"));
            let interface = items(item, "networkInterfaceSet").into_iter().next();
            let of_interface = |name| interface.and_then(|node| text(node, name)).unwrap_or_default().to_owned();
            let instance = Instance {
                eni: of_interface("networkInterfaceId"),
                mac: of_interface("macAddress"),
                running: matches!(state, Some("running" | "pending")),
                checked: text(item, "sourceDestCheck") == Some("true"),
            };
            found.insert(id.to_owned(), instance);
        }
    }
    Ok(found)
}

/// A route table: which subnets it serves and where it sends what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) id: String,
    /// Association id and subnet, of explicit associations.
    pub(crate) associations: Vec<(String, String)>,
    /// Destination, and the instance or interface it goes to.
    pub(crate) routes: Vec<(String, Option<String>)>,
}

/// Route tables, from `DescribeRouteTables`.
pub(crate) fn tables(xml: &str) -> anyhow::Result<Vec<Table>> {
    let document = Document::parse(xml).context("DescribeRouteTables is no XML")?;
    let table = |item| Table {
        id: text(item, "routeTableId").unwrap_or_default().to_owned(),
        associations: items(item, "associationSet")
            .into_iter()
            .filter_map(|item| {
                Some((text(item, "routeTableAssociationId")?.to_owned(), text(item, "subnetId")?.to_owned()))
            })
            .collect(),
        routes: items(item, "routeSet")
            .into_iter()
            .filter(|route| text(*route, "gatewayId").is_none())
            .filter_map(|route| {
                let via = text(route, "instanceId").or_else(|| text(route, "networkInterfaceId"));
                let to = text(route, "destinationCidrBlock").or_else(|| text(route, "destinationIpv6CidrBlock"))?;
                Some((to.to_owned(), via.map(str::to_owned)))
            })
            .collect(),
    };
    Ok(items(document.root_element(), "routeTableSet").into_iter().map(table).collect())
}

/// Completes `DescribeRouteTables`: a route through an instance shows instance *and* interface, whichever it was made with, and is
/// a `blackhole` while the instance does not run. moto knows neither.
pub(crate) fn complete_routes(xml: &str, instances: &BTreeMap<String, Instance>) -> anyhow::Result<String> {
    let document = Document::parse(xml)?;
    let mut edits: Vec<(std::ops::Range<usize>, String)> = Vec::new();
    for route in document.descendants().filter(|node| node.has_tag_name_any("item")) {
        let (by_id, by_eni) = (child(route, "instanceId"), child(route, "networkInterfaceId"));
        let text_of = |node: Option<Node<'_, '_>>| node.and_then(|node| node.text()).unwrap_or_default().to_owned();
        let (id, eni) = (text_of(by_id), text_of(by_eni));
        let known =
            instances.iter().find(|(other, instance)| **other == id || (!eni.is_empty() && instance.eni == eni));
        let (Some((id, instance)), Some(state)) = (known, child(route, "state")) else { continue };
        let start = state.range().start;
        if by_id.is_none() {
            edits.push((start..start, format!("<instanceId>{id}</instanceId>")));
        }
        if by_eni.is_none() {
            edits.push((start..start, format!("<networkInterfaceId>{}</networkInterfaceId>", instance.eni)));
        }
        if !instance.running {
            edits.push((state.range(), "<state>blackhole</state>".to_owned()));
        }
    }
    let mut completed = xml.to_owned();
    // From the end, so that earlier positions stay true.
    for (range, text) in edits.into_iter().rev() {
        completed.replace_range(range, &text);
    }
    Ok(completed)
}

/// `DescribeRouteTables` as it would have been answered from an older, unfiltered answer.
///
/// Knows the filters natwatch and its tests use (table, VPC, associated subnet, association); others let everything pass.
pub(crate) fn answer_from(before: &str, params: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let document = Document::parse(before)?;
    let ids: Vec<&String> =
        params.iter().filter(|(key, _)| key.starts_with("RouteTableId.")).map(|(_, value)| value).collect();
    let mut filters: Vec<(&String, Vec<&String>)> = Vec::new();
    for (key, name) in params.iter().filter(|(key, _)| key.starts_with("Filter.") && key.ends_with(".Name")) {
        let prefix = format!("{}.Value.", key.trim_end_matches(".Name"));
        filters
            .push((name, params.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, value)| value).collect()));
    }
    let mut kept = before.to_owned();
    for item in items(document.root_element(), "routeTableSet").into_iter().rev() {
        let of = |name: &str| text(item, name).unwrap_or_default().to_owned();
        let associated = |name: &str| -> Vec<String> {
            items(item, "associationSet").into_iter().filter_map(|item| text(item, name).map(str::to_owned)).collect()
        };
        let passes = |(name, values): &(&String, Vec<&String>)| {
            let has = match name.as_str() {
                "route-table-id" => vec![of("routeTableId")],
                "vpc-id" => vec![of("vpcId")],
                "association.subnet-id" => associated("subnetId"),
                "association.route-table-association-id" => associated("routeTableAssociationId"),
                "association.route-table-id" => associated("routeTableId"),
                _ => return true,
            };
            values.iter().any(|value| has.contains(value))
        };
        let wanted = ids.is_empty() || ids.iter().any(|id| **id == of("routeTableId"));
        if !(wanted && filters.iter().all(passes)) {
            kept.replace_range(item.range(), "");
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<DescribeRouteTablesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15"><routeTableSet><item><associationSet><item><main>false</main><routeTableAssociationId>rtbassoc-1</routeTableAssociationId><routeTableId>rtb-1</routeTableId><subnetId>subnet-1</subnetId></item></associationSet><routeTableId>rtb-1</routeTableId><routeSet><item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local</gatewayId><state>active</state></item><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><instanceId>i-1</instanceId><origin>CreateRoute</origin><state>active</state></item></routeSet><vpcId>vpc-1</vpcId></item><item><associationSet/><routeTableId>rtb-2</routeTableId><routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><networkInterfaceId>eni-2</networkInterfaceId><state>active</state></item></routeSet><vpcId>vpc-1</vpcId></item></routeTableSet></DescribeRouteTablesResponse>"#;

    fn known() -> BTreeMap<String, Instance> {
        let instance =
            |n: u8, running| Instance { eni: format!("eni-{n}"), running, checked: false, mac: String::new() };
        BTreeMap::from([("i-1".to_owned(), instance(1, false)), ("i-2".to_owned(), instance(2, true))])
    }

    #[test]
    fn tables_are_read_without_the_local_route() {
        let tables = tables(TABLES).unwrap();
        assert_eq!(tables[0].associations, [("rtbassoc-1".to_owned(), "subnet-1".to_owned())]);
        assert_eq!(tables[0].routes, [("0.0.0.0/0".to_owned(), Some("i-1".to_owned()))]);
        assert_eq!(tables[1].routes, [("0.0.0.0/0".to_owned(), Some("eni-2".to_owned()))]);
    }

    #[test]
    fn a_route_shows_instance_and_interface_and_a_stopped_one_is_a_black_hole() {
        let completed = complete_routes(TABLES, &known()).unwrap();
        assert!(completed.contains(
            "<instanceId>i-1</instanceId><origin>CreateRoute</origin><networkInterfaceId>eni-1</networkInterfaceId><state>blackhole</state>"
        ));
        assert!(completed.contains(
            "<networkInterfaceId>eni-2</networkInterfaceId><instanceId>i-2</instanceId><state>active</state>"
        ));
        assert!(completed.contains("<gatewayId>local</gatewayId><state>active</state>"));
    }

    #[test]
    fn an_old_answer_is_filtered_as_the_new_one_would_be() {
        let ask = |key: &[(&str, &str)]| {
            let params = key.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            tables(&answer_from(TABLES, &params).unwrap())
                .unwrap()
                .into_iter()
                .map(|table| table.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ask(&[]), ["rtb-1", "rtb-2"]);
        assert_eq!(ask(&[("RouteTableId.1", "rtb-2")]), ["rtb-2"]);
        assert_eq!(ask(&[("Filter.1.Name", "association.subnet-id"), ("Filter.1.Value.1", "subnet-1")]), ["rtb-1"]);
    }
}
