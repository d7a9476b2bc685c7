//! Who this is and where, by IMDS, configuration and EC2; and who the primary is.

use super::{Facts, Metadata, Subject, fit, named, unfit, unknown, warning};
use crate::model::{Finding, Fitness, InstanceId, Topic};

const TOPIC: Topic = Topic::Identity;

pub(super) fn judge(facts: &Facts, subject: Subject<'_>) -> Vec<Finding> {
    let mut found = vec![metadata(facts, subject), region(facts), standby(facts, subject)];
    found.extend(subject.settings.decide.primary_instance.as_ref().map(|id| primary(facts, id, subject)));
    found
}

fn metadata(facts: &Facts, subject: Subject<'_>) -> Finding {
    // Where the configuration says who this is, nothing depends on the service but the credentials, which are looked at for themselves.
    let pinned = subject.settings.preflight.standby_instance.as_ref();
    let instance = pinned.map_or("INSTANCE", InstanceId::as_str);
    let options = |option: &str| format!("aws ec2 modify-instance-metadata-options --instance-id {instance} {option}");
    let fitness = if pinned.is_some() { Fitness::Warning } else { Fitness::Unfit };
    let bad =
        |cause, text: String, remedy: String| Finding::new(TOPIC, "imds", fitness, text).cause(cause).remedy(remedy);
    match (facts.metadata, &facts.imds) {
        (Metadata::Answers, Ok(_)) => fit(TOPIC, "imds", "the instance metadata service answers (IMDSv2)"),
        (Metadata::Answers, Err(why)) => Finding::new(TOPIC, "imds", fitness, why.clone())
            .cause("no-id-told")
            .change("standby.instance", "instance = \"this instance's id\""),
        (Metadata::SwitchedOff, _) => bad("imds-not-to-be-asked",
            "the instance metadata service is not asked: AWS_EC2_METADATA_DISABLED is set (standby.instance and credentials from elsewhere \
             would do without it)"
                .to_owned(),
            "unset AWS_EC2_METADATA_DISABLED".to_owned(),
        ),
        (Metadata::Absent, _) => bad("imds-absent",
            "there is no connection to the instance metadata service (169.254.169.254)".to_owned(),
            format!("ip route get 169.254.169.254; {}", options("--http-endpoint enabled")),
        ),
        (Metadata::TokenLost(_), _) => bad("hop-limit",
            "the instance metadata service answers, but its tokens do not arrive: they live for too few hops (a container, or a \
             namespace)"
                .to_owned(),
            options("--http-put-response-hop-limit 2"),
        ),
        (Metadata::TokenRefused(403, _), _) => bad("imds-switched-off",
            "the instance metadata service is switched off for this instance (HTTP 403)".to_owned(),
            options("--http-endpoint enabled"),
        ),
        (Metadata::TokenRefused(status, Some(200)), _) => bad("version-1-only",
            format!(
                "the instance metadata service answers in version 1 only (a token is refused with HTTP {status}): what stands before \
                 169.254.169.254 must let version 2 through, which is all that natwatch and the AWS SDK speak"
            ),
            "iptables -t nat -S".to_owned(),
        ),
        (Metadata::TokenRefused(status, _), _) => bad("token-refused",
            format!("the instance metadata service refuses a token with HTTP {status}"),
            options("--http-endpoint enabled"),
        ),
        (Metadata::Silent, _) => bad("imds-silent",
            "the instance metadata service takes connections and says nothing: something stands before 169.254.169.254".to_owned(),
            "iptables -t nat -S".to_owned(),
        ),
    }
}

fn region(facts: &Facts) -> Finding {
    match &facts.region {
        Ok(region) => fit(TOPIC, "region", format!("the region is {}, by {}", region.name, region.source)),
        Err(why) => unfit(TOPIC, "region", why.clone())
            .cause("no-region")
            .change("standby.region", "region = \"such as eu-central-1\""),
    }
}

fn standby(facts: &Facts, subject: Subject<'_>) -> Finding {
    const ID: &str = "standby-instance";
    let pinned = subject.settings.preflight.standby_instance.as_ref();
    if let (Some(configured), Ok(actual)) = (pinned, &facts.imds)
        && configured != actual
    {
        let text = format!(
            "standby.instance is {configured}, but this is {actual} by IMDS: a clone, and natwatch does not run here"
        );
        let text = format!("{text}; a clone that is no standby is to be without natwatch");
        return unfit(TOPIC, ID, text).cause("clone").change("standby.instance", format!("instance = \"{actual}\""));
    }
    let Some(id) = facts.identity(subject) else {
        return unfit(TOPIC, ID, "it is not known which instance this is")
            .cause("nobody-known")
            .change("standby.instance", "instance = \"this instance's id\"");
    };
    match (&facts.instances, facts.instance(id)) {
        (Err(why), _) => unknown(TOPIC, ID, format!("this is {id}; EC2 can't be asked about it: {why}"))
            .cause("standby-not-asked")
            .remedy(format!("aws ec2 describe-instances --instance-ids {id}")),
        (Ok(_), None) => unfit(TOPIC, ID, format!("this is {id}, which EC2 does not know in this region and account"))
            .cause("standby-unknown-to-ec2")
            .change("standby.region", "region = \"that of this instance\""),
        (Ok(_), Some(instance)) => {
            let name = named(id, instance.name.as_deref());
            let pin = match (pinned, &facts.imds) {
                (Some(_), Ok(_)) => "as standby.instance says".to_owned(),
                (Some(_), Err(_)) => "by standby.instance alone".to_owned(),
                (None, _) => format!("by IMDS (standby.instance = \"{id}\" would keep a clone from acting)"),
            };
            fit(TOPIC, ID, format!("this is {name}, {pin}"))
        }
    }
}

fn primary(facts: &Facts, id: &InstanceId, subject: Subject<'_>) -> Finding {
    const ID: &str = "primary-instance";
    if facts.identity(subject) == Some(id) {
        return unfit(
            TOPIC,
            ID,
            format!("primary.instance = {id} is this very instance, and natwatch runs on the standby"),
        )
        .cause("primary-is-this")
        .change("primary.instance", "instance = \"the other instance's id\"");
    }
    let describe = format!("aws ec2 describe-instances --instance-ids {id}");
    match (&facts.instances, facts.instance(id)) {
        (Err(why), _) => unknown(TOPIC, ID, format!("EC2 can't be asked about the primary, {id}: {why}"))
            .cause("primary-not-asked")
            .remedy(describe),
        (Ok(_), None) => {
            warning(TOPIC, ID, format!("primary.instance = {id} is not known to EC2 in this region and account"))
                .cause("primary-unknown-to-ec2")
                .change("primary.instance", "instance = \"the primary's id\"")
                .remedy(describe)
        }
        (Ok(_), Some(instance)) if instance.state != "running" => {
            let text = format!("the primary, {}, is {}", named(id, instance.name.as_deref()), instance.state);
            warning(TOPIC, ID, text)
                .cause("primary-not-running")
                .remedy(format!("aws ec2 start-instances --instance-ids {id}"))
        }
        (Ok(_), Some(instance)) => {
            fit(TOPIC, ID, format!("the primary is {}, and runs", named(id, instance.name.as_deref())))
        }
    }
}
