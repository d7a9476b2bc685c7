//! EC2's identifiers, each a type of its own, so that a subnet can't stand where a route table is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An id has 40 characters at most; what is longer is shown as far as tells it apart.
const SHOWN: usize = 60;

/// Why a text is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is not a {kind} id: expected \"{prefix}\" and 1 to 32 of 0-9, a-z", super::printable(text, SHOWN))]
pub struct IdError {
    /// What was given.
    pub text: String,
    /// What was wanted, in words.
    pub kind: &'static str,
    /// The prefix of that kind.
    pub prefix: &'static str,
}

macro_rules! id {
    ($name:ident, $prefix:literal, $kind:literal) => {
        #[doc = concat!("The id of a ", $kind, ": `", $prefix, "` and 1 to 32 lower-case letters or digits.")]
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as EC2 writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let rest = text.strip_prefix($prefix).unwrap_or_default();
                let fits = (1..=32).contains(&rest.len())
                    && rest.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
                if fits {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError { text: text.to_owned(), kind: $kind, prefix: $prefix })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

id!(RouteTableId, "rtb-", "route table");
id!(SubnetId, "subnet-", "subnet");
id!(AssociationId, "rtbassoc-", "route table association");
id!(InstanceId, "i-", "instance");
id!(InterfaceId, "eni-", "network interface");
id!(VpcId, "vpc-", "VPC");
id!(AllocationId, "eipalloc-", "Elastic IP address");
id!(EipAssociationId, "eipassoc-", "Elastic IP address's association");
id!(GroupId, "sg-", "security group");
id!(AclId, "acl-", "network ACL");

#[cfg(test)]
mod tests {
    use super::{InstanceId, RouteTableId};

    #[test]
    fn an_id_of_another_kind_is_refused_with_the_wanted_form() {
        let error = "subnet-0a".parse::<RouteTableId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""subnet-0a" is not a route table id: expected "rtb-" and 1 to 32 of 0-9, a-z"#
        );
        for bad in ["", "rtb-", "rtb-A", "rtb-0 ", "rtb-0;id", &format!("rtb-{}", "0".repeat(33))] {
            assert!(bad.parse::<RouteTableId>().is_err(), "{bad:?} was taken");
        }
        assert_eq!("i-0abc".parse::<InstanceId>().map(String::from), Ok("i-0abc".to_owned()));
    }
}
