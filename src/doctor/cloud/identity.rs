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
    let (text, remedy) = match (facts.metadata, &facts.imds) {
        (Metadata::Answers, Ok(_)) => return fit(TOPIC, "imds", "the instance metadata service answers (IMDSv2)"),
        (Metadata::Answers, Err(why)) => (why.clone(), "set standby.instance".to_owned()),
        (Metadata::SwitchedOff, _) => (
            "the instance metadata service is not asked: AWS_EC2_METADATA_DISABLED is set (standby.instance and credentials from elsewhere \
             would do without it)"
                .to_owned(),
            "unset AWS_EC2_METADATA_DISABLED".to_owned(),
        ),
        (Metadata::Absent, _) => (
            "there is no connection to the instance metadata service (169.254.169.254)".to_owned(),
            format!("ip route get 169.254.169.254; {}", options("--http-endpoint enabled")),
        ),
        (Metadata::TokenLost(_), _) => (
            "the instance metadata service answers, but its tokens do not arrive: they live for too few hops (a container, or a \
             namespace)"
                .to_owned(),
            options("--http-put-response-hop-limit 2"),
        ),
        (Metadata::TokenRefused(403, _), _) => (
            "the instance metadata service is switched off for this instance (HTTP 403)".to_owned(),
            options("--http-endpoint enabled"),
        ),
        (Metadata::TokenRefused(status, Some(200)), _) => (
            format!(
                "the instance metadata service answers in version 1 only (a token is refused with HTTP {status}): what stands before \
                 169.254.169.254 must let version 2 through, which is all that natwatch and the AWS SDK speak"
            ),
            "iptables -t nat -S".to_owned(),
        ),
        (Metadata::TokenRefused(status, _), _) => (
            format!("the instance metadata service refuses a token with HTTP {status}"),
            options("--http-endpoint enabled"),
        ),
        (Metadata::Silent, _) => (
            "the instance metadata service takes connections and says nothing: something stands before 169.254.169.254".to_owned(),
            "iptables -t nat -S".to_owned(),
        ),
    };
    let fitness = if pinned.is_some() { Fitness::Warning } else { Fitness::Unfit };
    Finding::new(TOPIC, "imds", fitness, text).remedy(remedy)
}

fn region(facts: &Facts) -> Finding {
    match &facts.region {
        Ok(region) => fit(TOPIC, "region", format!("the region is {}, by {}", region.name, region.source)),
        Err(why) => unfit(TOPIC, "region", why.clone()).remedy("set standby.region"),
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
        return unfit(TOPIC, ID, text)
            .remedy(format!("set standby.instance = \"{actual}\" on the standby, or remove natwatch from a clone"));
    }
    let Some(id) = facts.identity(subject) else {
        return unfit(TOPIC, ID, "it is not known which instance this is").remedy("set standby.instance");
    };
    match (&facts.instances, facts.instance(id)) {
        (Err(why), _) => unknown(TOPIC, ID, format!("this is {id}; EC2 can't be asked about it: {why}"))
            .remedy(format!("aws ec2 describe-instances --instance-ids {id}")),
        (Ok(_), None) => unfit(TOPIC, ID, format!("this is {id}, which EC2 does not know in this region and account"))
            .remedy("correct standby.instance or standby.region"),
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
        .remedy("name the other instance in primary.instance");
    }
    let describe = format!("aws ec2 describe-instances --instance-ids {id}");
    match (&facts.instances, facts.instance(id)) {
        (Err(why), _) => {
            unknown(TOPIC, ID, format!("EC2 can't be asked about the primary, {id}: {why}")).remedy(describe)
        }
        (Ok(_), None) => {
            warning(TOPIC, ID, format!("primary.instance = {id} is not known to EC2 in this region and account"))
                .details(vec!["correct primary.instance".to_owned()])
                .remedy(describe)
        }
        (Ok(_), Some(instance)) if instance.state != "running" => {
            let text = format!("the primary, {}, is {}", named(id, instance.name.as_deref()), instance.state);
            warning(TOPIC, ID, text).remedy(format!("aws ec2 start-instances --instance-ids {id}"))
        }
        (Ok(_), Some(instance)) => {
            fit(TOPIC, ID, format!("the primary is {}, and runs", named(id, instance.name.as_deref())))
        }
    }
}
