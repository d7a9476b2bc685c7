//! The IAM policy for exactly the calls of this room.

/// Every EC2 action that natwatch calls: those that read, which know no resource-level permissions, and those that change.
pub const ACTIONS: (&[&str], &[&str]) = (
    &["DescribeInstances", "DescribeRouteTables", "DescribeSubnets"],
    &["ModifyNetworkInterfaceAttribute", "ReplaceRouteTableAssociation"],
);

/// The policy document for the role of the standby, as JSON with its newline.
///
/// Source of what can be restricted: "Actions, resources, and condition keys for Amazon EC2" of the Service Authorization
/// Reference.
#[must_use]
pub fn iam_policy() -> String {
    let named = |actions: &[&str]| actions.iter().map(|action| format!("ec2:{action}")).collect::<Vec<_>>();
    let (read, change) = ACTIONS;
    let policy = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Sid": "NatwatchReads", "Effect": "Allow", "Action": named(read), "Resource": "*" },
            {
                "Sid": "NatwatchMoves",
                "Effect": "Allow",
                "Action": named(change),
                "Resource": [
                    "arn:aws:ec2:*:*:network-interface/*",
                    "arn:aws:ec2:*:*:route-table/*",
                    "arn:aws:ec2:*:*:subnet/*",
                ],
            },
        ],
    });
    format!("{policy:#}\n")
}
