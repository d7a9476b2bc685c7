//! The rights that natwatch needs, and no more.

/// Every EC2 action that is ever called, by its IAM name without `ec2:`.
pub const IAM_ACTIONS: [&str; 15] = [
    "AssociateAddress",
    "CreateRoute",
    "DeleteRoute",
    "DescribeAddresses",
    "DescribeInstances",
    "DescribeNetworkAcls",
    "DescribeNetworkInterfaces",
    "DescribeRouteTables",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DisassociateAddress",
    "ModifyNetworkInterfaceAttribute",
    "RebootInstances",
    "ReplaceRoute",
    "ReplaceRouteTableAssociation",
];

/// The policy of `natwatch print iam-policy`.
///
/// Describe actions know no resources, so they are allowed on `*`; the others are limited to the kinds of resources they take
/// (Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2"). Who wants less replaces
/// an asterisk by an id, or leaves out what the configuration does not use: routes are for `takeover.method = "route"`, addresses
/// for `takeover.elastic_ip`, the reboot for `takeover.reboot_primary`, the interface for `takeover.disable_source_dest_check`; interfaces, groups
/// and ACLs are read by `doctor` and, of the standby itself, off the path to a takeover.
#[must_use]
pub fn iam_policy() -> String {
    let (reads, changes): (Vec<&str>, Vec<&str>) =
        IAM_ACTIONS.iter().partition(|action| action.starts_with("Describe"));
    let mut statements = vec![statement("NatwatchReads", &reads, &["*".to_owned()])];
    for action in changes {
        let kinds: &[&str] = match action {
            "ReplaceRouteTableAssociation" => &["route-table", "subnet"],
            "CreateRoute" | "ReplaceRoute" | "DeleteRoute" => &["route-table"],
            "AssociateAddress" | "DisassociateAddress" => &["elastic-ip", "instance", "network-interface"],
            "RebootInstances" => &["instance"],
            _ => &["network-interface"],
        };
        let resources: Vec<String> = kinds.iter().map(|kind| format!("arn:aws:ec2:*:*:{kind}/*")).collect();
        statements.push(statement(&format!("Natwatch{action}"), &[action], &resources));
    }
    format!("{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n{}\n  ]\n}}\n", statements.join(",\n"))
}

/// Written by hand, in the order in which people write policies.
fn statement(sid: &str, actions: &[&str], resources: &[String]) -> String {
    let actions: Vec<String> = actions.iter().map(|action| format!("\"ec2:{action}\"")).collect();
    let resources: Vec<String> = resources.iter().map(|resource| format!("\"{resource}\"")).collect();
    format!(
        "    {{\n      \"Sid\": \"{sid}\",\n      \"Effect\": \"Allow\",\n      \"Action\": [{}],\n      \"Resource\": [{}]\n    }}",
        actions.join(", "),
        resources.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{IAM_ACTIONS, iam_policy};

    /// `.describe_route_tables()` → `DescribeRouteTables`, for every call of a client in this room.
    fn called() -> BTreeSet<String> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
        let mut sources = vec![std::fs::read_to_string(format!("{root}ec2.rs")).unwrap()];
        let mut folders = vec![std::path::PathBuf::from(format!("{root}ec2"))];
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() { folders.push(path) } else { sources.push(std::fs::read_to_string(path).unwrap()) }
            }
        }
        // An operation's builder is what takes `.dry_run`, `.filters` or an id next: all of them begin with one of these verbs.
        let calls = regex_lite::Regex::new(r"\.((?:describe|replace|modify|associate|disassociate|reboot|create|delete|allocate|release)_[a-z_0-9]+)\(\)").unwrap();
        let pascal = |name: &str| {
            name.split('_').flat_map(|word| [word[..1].to_uppercase(), word[1..].to_owned()]).collect::<String>()
        };
        let code = sources.iter().flat_map(|source| source.lines()).filter(|line| !line.trim_start().starts_with("//"));
        code.flat_map(|line| calls.captures_iter(line).map(|found| pascal(&found[1])).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn the_policy_names_exactly_the_actions_that_are_called() {
        let policy: serde_json::Value = serde_json::from_str(&iam_policy()).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let granted = statements.iter().flat_map(|s| s["Action"].as_array().unwrap());
        let granted: BTreeSet<String> =
            granted.map(|a| a.as_str().unwrap().strip_prefix("ec2:").unwrap().to_owned()).collect();
        assert_eq!(granted, called());
        assert_eq!(granted, IAM_ACTIONS.map(str::to_owned).into());
    }

    #[test]
    fn only_reads_are_allowed_on_everything() {
        let policy: serde_json::Value = serde_json::from_str(&iam_policy()).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            let reads =
                statement["Action"].as_array().unwrap().iter().all(|a| a.as_str().unwrap().starts_with("ec2:Describe"));
            let everything = statement["Resource"].as_array().unwrap().iter().any(|r| r == "*");
            assert_eq!(reads, everything, "{statement}");
        }
    }
}
