//! The whole way through the SDK and HTTP, against a listener on the loopback that answers what a test tells it.

mod doctor;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::act::{Addresses as _, ChangeError, Changer as _, Routes as _};
use crate::model::{AssociationId, Holder, Way};

enum Reply {
    Says(u16, String),
    /// Reads the request and says nothing.
    Hangs,
    /// Reads the request and closes the connection.
    Closes,
}

struct Server {
    url: String,
    /// Bodies of the requests, form-encoded.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn with(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = request(&mut stream).await;
                log.lock().unwrap().push(request);
                match replies.pop_front() {
                    Some(Reply::Says(status, body)) => {
                        let answer = format!(
                            "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                    Some(Reply::Closes) => {}
                    Some(Reply::Hangs) | None => silent.push(stream),
                }
            }
        });
        Self { url, asked }
    }

    fn ec2(&self, timeouts: Timeouts) -> Ec2 {
        let provider = SharedCredentialsProvider::new(Credentials::new("AKIDTEST", "s3cr3t", None, None, "test"));
        self.ec2_signed_by(provider, timeouts)
    }

    fn ec2_signed_by(&self, provider: SharedCredentialsProvider, timeouts: Timeouts) -> Ec2 {
        let shared = SdkConfig::builder()
            .behavior_version(behavior())
            .region(Region::new("eu-central-1"))
            .endpoint_url(&self.url)
            .credentials_provider(provider)
            .identity_cache(credentials::kept().build())
            .http_client(http::direct())
            .timeout_config(timeouts.sdk())
            .build();
        Ec2 {
            region: None,
            timeouts,
            http: http::direct(),
            imds: imds::Imds::new(),
            clients: tokio::sync::Mutex::new(Some(Clients::new(&shared))),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return body.to_owned();
            }
        }
        let mut some = [0; 4096];
        match stream.read(&mut some).await {
            Ok(0) | Err(_) => return text,
            Ok(n) => bytes.extend_from_slice(&some[..n]),
        }
    }
}

fn fails(status: u16, code: &str, message: &str) -> Reply {
    Reply::Says(
        status,
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>r</RequestID></Response>"
        ),
    )
}

/// For who is not answered, and long enough for who is, on a machine that is busy.
fn quick() -> Timeouts {
    Timeouts { connect: Duration::from_secs(1), attempt: Duration::from_secs(1), read: Duration::from_secs(4) }
}

fn ids() -> (AssociationId, RouteTableId) {
    ("rtbassoc-0a".parse().unwrap(), "rtb-0b".parse().unwrap())
}

async fn move_answered(reply: Reply, dry_run: bool) -> (Result<AssociationId, ChangeError>, usize) {
    let server = Server::with([reply]).await;
    let (association, table) = ids();
    let answer = server.ec2(quick()).associate(&association, &table, dry_run).await;
    (answer, server.asked().len())
}

#[tokio::test]
async fn a_move_names_both_ids_and_returns_the_new_one() {
    let body = "<ReplaceRouteTableAssociationResponse><newAssociationId>rtbassoc-0c</newAssociationId><associationState>\
                <state>associated</state></associationState></ReplaceRouteTableAssociationResponse>";
    let server = Server::with([Reply::Says(200, body.to_owned())]).await;
    let (association, table) = ids();
    assert_eq!(
        server.ec2(Timeouts::default()).associate(&association, &table, false).await,
        Ok("rtbassoc-0c".parse().unwrap())
    );
    let asked = server.asked().remove(0);
    for part in ["Action=ReplaceRouteTableAssociation", "AssociationId=rtbassoc-0a", "RouteTableId=rtb-0b"] {
        assert!(asked.contains(part), "{asked}");
    }
    assert!(!asked.contains("DryRun"), "{asked}");
}

#[tokio::test]
async fn a_failed_move_is_sorted_and_never_tried_again_by_itself() {
    use ChangeError::{Refused, Stale, Throttled, Unknown};
    let text = |why: &str| format!("ReplaceRouteTableAssociation: {why}");
    let cases = [
        (
            fails(503, "RequestLimitExceeded", "Request limit exceeded."),
            Throttled(text("RequestLimitExceeded: Request limit exceeded.")),
        ),
        (
            fails(500, "InternalError", "An internal error has occurred"),
            Unknown(text("InternalError: An internal error has occurred")),
        ),
        (
            Reply::Says(502, "<html>bad gateway</html>".to_owned()),
            Unknown(text("an answer that is not EC2's (HTTP 502)")),
        ),
        (
            fails(400, "InvalidAssociationID.NotFound", "It does not exist"),
            Stale(text("InvalidAssociationID.NotFound: It does not exist")),
        ),
        (
            fails(400, "InvalidRouteTableID.NotFound", "gone \u{202e}x"),
            Refused(text("InvalidRouteTableID.NotFound: gone \\u{202e}x")),
        ),
        (
            fails(403, "UnauthorizedOperation", "You are not authorized. Encoded authorization failure message: abc"),
            Refused(text(
                "not allowed: ec2:ReplaceRouteTableAssociation; attach the policy of `natwatch print iam-policy`",
            )),
        ),
    ];
    for (reply, wanted) in cases {
        let (answer, calls) = move_answered(reply, false).await;
        assert_eq!((answer, calls), (Err(wanted), 1));
    }
    for reply in [Reply::Hangs, Reply::Closes, Reply::Says(200, "<html>".to_owned())] {
        let (answer, calls) = move_answered(reply, false).await;
        assert!(matches!(answer, Err(Unknown(_))), "{answer:?}");
        assert_eq!(calls, 1);
    }
}

#[tokio::test]
async fn a_dry_run_that_would_succeed_is_a_success() {
    let (answer, _) =
        move_answered(fails(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."), true)
            .await;
    assert_eq!(answer, Ok(ids().0));
    let server = Server::with([fails(412, "DryRunOperation", "")]).await;
    assert_eq!(server.ec2(quick()).disable_check(&"eni-0b".parse().unwrap(), true).await, Ok(()));
    let asked = server.asked().remove(0);
    assert!(asked.contains("DryRun=true") && asked.contains("SourceDestCheck.Value=false"), "{asked}");
}

#[tokio::test]
async fn f062_an_association_that_came_about_failed_is_not_a_success() {
    let body = "<ReplaceRouteTableAssociationResponse><newAssociationId>rtbassoc-0c</newAssociationId><associationState>\
                <state>failed</state><statusMessage>no room</statusMessage></associationState></ReplaceRouteTableAssociationResponse>";
    let (answer, _) = move_answered(Reply::Says(200, body.to_owned()), false).await;
    assert_eq!(
        answer,
        Err(ChangeError::Unknown("ReplaceRouteTableAssociation: the association failed: no room".to_owned()))
    );
}

#[tokio::test]
async fn f047_an_endpoint_that_never_answers_costs_a_bounded_time() {
    let server = Server::with([]).await;
    let (connect, attempt, read) = (Duration::from_millis(100), Duration::from_millis(100), Duration::from_millis(400));
    let ec2 = server.ec2(Timeouts { connect, attempt, read });
    let table = ["rtb-0a".parse().unwrap()];
    let error = tokio::time::timeout(Duration::from_secs(2), ec2.tables(&table)).await.unwrap().unwrap_err();
    assert!(error.starts_with("DescribeRouteTables: no answer within 0."), "{error}");
    assert_eq!(server.asked().len(), 2, "a read is tried twice");
}

#[tokio::test]
async fn f061_a_closed_port_is_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let server = Server { url, asked: Arc::default() };
    let error = server.ec2(quick()).tables(&["rtb-0a".parse().unwrap()]).await.unwrap_err();
    assert!(
        error.starts_with("DescribeRouteTables: no connection to EC2, or it was lost: ") && error.contains("refused"),
        "{error}"
    );
}

#[tokio::test]
async fn f063_all_pages_are_read() {
    let table = |id: &str| {
        format!("<item><routeTableId>{id}</routeTableId><vpcId>vpc-1</vpcId><routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock>\
                 <instanceId>i-0a</instanceId><state>blackhole</state></item></routeSet><associationSet>\
                 <item><routeTableAssociationId>rtbassoc-{id}</routeTableAssociationId><subnetId>subnet-1</subnetId><main>false</main></item>\
                 <item><routeTableAssociationId>rtbassoc-9</routeTableAssociationId><subnetId>subnet-2</subnetId>\
                 <associationState><state>disassociated</state></associationState></item></associationSet></item>")
            .replace("rtbassoc-rtb-", "rtbassoc-")
    };
    let page = |body: &str, next: &str| {
        Reply::Says(
            200,
            format!(
                "<DescribeRouteTablesResponse><routeTableSet>{body}</routeTableSet>{next}</DescribeRouteTablesResponse>"
            ),
        )
    };
    let server = Server::with([page(&table("rtb-1"), "<nextToken>more</nextToken>"), page(&table("rtb-2"), "")]).await;
    let found =
        server.ec2(Timeouts::default()).tables(&["rtb-1".parse().unwrap(), "rtb-2".parse().unwrap()]).await.unwrap();
    assert_eq!(found.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["rtb-1", "rtb-2"]);
    assert!(found[0].routes[0].blackhole);
    assert_eq!(found[0].associations.len(), 1, "one that has been removed counts no more");
    let asked = server.asked();
    assert!(
        asked[0].contains("Filter.1.Name=route-table-id") && asked[0].contains("Filter.1.Value.2=rtb-2"),
        "{asked:?}"
    );
    assert!(asked[1].contains("NextToken=more"), "{asked:?}");
}

#[tokio::test]
async fn f045_private_addresses_with_a_public_one_are_found_on_every_interface() {
    let address = |private: &str, public: &str| {
        let association = if public.is_empty() {
            String::new()
        } else {
            format!("<association><publicIp>{public}</publicIp></association>")
        };
        format!("<item><privateIpAddress>{private}</privateIpAddress>{association}</item>")
    };
    let interface =
        |addresses: &str| format!("<item><privateIpAddressesSet>{addresses}</privateIpAddressesSet></item>");
    let instance = |interfaces: &str| {
        format!(
            "<item><instancesSet><item><networkInterfaceSet>{interfaces}</networkInterfaceSet></item></instancesSet></item>"
        )
    };
    let first = interface(&(address("10.0.1.5", "") + &address("10.0.1.6", "198.51.100.6")));
    let second = interface(&address("10.0.1.7", "198.51.100.7"));
    let body = instance(&(first + &second)) + &instance(&interface(&address("10.0.2.5", "")));
    let answer =
        format!("<DescribeInstancesResponse><reservationSet>{body}</reservationSet></DescribeInstancesResponse>");
    let server = Server::with([Reply::Says(200, answer)]).await;
    let found = server.ec2(Timeouts::default()).public(&["subnet-1".parse().unwrap()]).await.unwrap();
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.1.6", "10.0.1.7"]);
    assert!(server.asked()[0].contains("Filter.1.Name=subnet-id"), "{:?}", server.asked());
}

#[tokio::test]
async fn what_runs_in_the_subnets_is_asked_for_by_state_and_read_page_by_page() {
    let instance = |id: &str, address: &str| {
        format!(
            "<item><instancesSet><item><instanceId>{id}</instanceId><instanceState><name>running</name></instanceState>\
             <subnetId>subnet-1</subnetId>{address}<tagSet><item><key>Name</key><value>web\u{1b}</value></item></tagSet>\
             <networkInterfaceSet><item><networkInterfaceId>eni-0a</networkInterfaceId></item></networkInterfaceSet></item></instancesSet></item>"
        )
    };
    let page = |body: &str, next: &str| {
        let text = format!(
            "<DescribeInstancesResponse><reservationSet>{body}</reservationSet>{next}</DescribeInstancesResponse>"
        );
        Reply::Says(200, text.replace('\u{1b}', "&#x202e;"))
    };
    let first = instance("i-0a", "<privateIpAddress>10.0.1.5</privateIpAddress>");
    let server = Server::with([page(&first, "<nextToken>more</nextToken>"), page(&instance("i-0b", ""), "")]).await;
    let found = server.ec2(Timeouts::default()).running(&["subnet-1".parse().unwrap()]).await.unwrap();
    let told: Vec<_> =
        found.iter().map(|one| (one.instance.id.as_str(), one.address.map(|at| at.to_string()))).collect();
    assert_eq!(told, [("i-0a", Some("10.0.1.5".to_owned())), ("i-0b", None)]);
    assert_eq!(found[0].instance.name.as_deref(), Some("web\\u{202e}"));
    assert_eq!(found[0].instance.interfaces[0].id.as_str(), "eni-0a");
    let asked = server.asked();
    for part in [
        "Filter.1.Name=subnet-id",
        "Filter.1.Value.1=subnet-1",
        "Filter.2.Name=instance-state-name",
        "Filter.2.Value.1=running",
    ] {
        assert!(asked.iter().all(|one| one.contains(part)), "{part}: {asked:?}");
    }
    assert!(asked.len() == 2 && asked[1].contains("NextToken=more"), "{asked:?}");
}

#[tokio::test]
async fn nothing_is_asked_about_nothing() {
    let server = Server::with([]).await;
    let ec2 = server.ec2(quick());
    assert_eq!(ec2.instances(&[]).await, Ok(Vec::new()));
    assert_eq!(Cloud::tables_of(&ec2, &[]).await, Ok(Vec::new()));
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn routes_are_asked_for_by_family_and_by_interface_and_an_instance_only_where_that_is_all() {
    let done = |action: &str| Reply::Says(200, format!("<{action}Response><return>true</return></{action}Response>"));
    let server = Server::with([done("ReplaceRoute"), done("CreateRoute"), done("DeleteRoute")]).await;
    let ec2 = server.ec2(Timeouts::default());
    let table: RouteTableId = "rtb-0a".parse().unwrap();
    let (v4, v6) = ("0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap());
    let both = Way { interface: "eni-0b".parse().ok(), instance: "i-0b".parse().ok() };
    let instance = Way { interface: None, ..both.clone() };
    assert_eq!(ec2.replace_route(&table, &v4, &both, false).await, Ok(()));
    assert_eq!(ec2.create_route(&table, &v6, &instance, false).await, Ok(()));
    assert_eq!(ec2.delete_route(&table, &v6, true).await, Ok(()));
    let forms = [
        "Action=ReplaceRoute&Version=2016-11-15&DestinationCidrBlock=0.0.0.0%2F0&NetworkInterfaceId=eni-0b&RouteTableId=rtb-0a",
        "Action=CreateRoute&Version=2016-11-15&DestinationIpv6CidrBlock=%3A%3A%2F0&InstanceId=i-0b&RouteTableId=rtb-0a",
        "Action=DeleteRoute&Version=2016-11-15&DestinationIpv6CidrBlock=%3A%3A%2F0&DryRun=true&RouteTableId=rtb-0a",
    ];
    for (asked, form) in server.asked().iter().zip(forms) {
        let sorted = |text: &str| {
            let mut all: Vec<String> = text.split('&').map(str::to_owned).collect();
            all.sort();
            all
        };
        assert_eq!(sorted(asked), sorted(form));
    }
}

/// Answers on connections that stay open; from the first `AssociateAddress` on, every connection that is open then is silent, as if
/// our own public address had changed.
async fn turns_deaf(asked: Arc<Mutex<Vec<(usize, String)>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (opened, deaf) = (Arc::new(Mutex::new(0_usize)), Arc::new(Mutex::new(0_usize)));
        while let Ok((mut stream, _)) = listener.accept().await {
            *opened.lock().unwrap() += 1;
            let number = *opened.lock().unwrap();
            let (asked, opened, deaf) = (asked.clone(), opened.clone(), deaf.clone());
            tokio::spawn(async move {
                loop {
                    let form = request(&mut stream).await;
                    if form.is_empty() {
                        return;
                    }
                    asked.lock().unwrap().push((number, form.clone()));
                    if form.contains("Action=AssociateAddress") {
                        *deaf.lock().unwrap() = *opened.lock().unwrap();
                    }
                    // Long enough that calls made at once need a connection each.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    if number <= *deaf.lock().unwrap() {
                        return std::future::pending().await;
                    }
                    let body = "<DescribeAddressesResponse><addressesSet><item><allocationId>eipalloc-0</allocationId>\
                                <associationId>eipassoc-0</associationId><networkInterfaceId>eni-0b</networkInterfaceId>\
                                <instanceId>i-0b</instanceId><privateIpAddress>10.0.0.20</privateIpAddress></item></addressesSet>\
                                </DescribeAddressesResponse>";
                    let answer = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn after_the_public_address_has_changed_no_old_connection_is_asked_again() {
    let asked = Arc::default();
    let url = turns_deaf(Arc::clone(&asked)).await;
    let timeouts =
        Timeouts { connect: Duration::from_secs(1), attempt: Duration::from_millis(300), read: Duration::from_secs(1) };
    let ec2 = Server { url, asked: Arc::default() }.ec2(timeouts);
    let address = "eipalloc-0".parse().unwrap();
    // As many warm connections as moves were under way.
    let warm = futures_util::future::join_all((0..4).map(|_| ec2.address(&address))).await;
    assert!(warm.iter().all(Result::is_ok), "{warm:?}");
    let standby = Way { interface: "eni-0b".parse().ok(), instance: "i-0b".parse().ok() };
    let to = Holder { way: standby, private: None };
    let lost = ec2.associate_address(&address, &to, false).await;
    assert!(matches!(lost, Err(ChangeError::Unknown(_))), "{lost:?}");
    let found = ec2.address(&address).await.unwrap().unwrap();
    assert!(to.same(&found.holder), "{found:?}");
    let asked = asked.lock().unwrap().clone();
    let (latest, change) =
        (asked.last().unwrap(), asked.iter().position(|(_, form)| form.contains("AssociateAddress")).unwrap());
    assert!(asked[..change].iter().all(|(number, _)| *number < latest.0), "an old connection was asked: {asked:?}");
    assert_eq!(asked.len(), change + 2, "the first look after it was answered");
    let form = &asked[change].1;
    assert!(
        form.contains("AllowReassociation=true")
            && form.contains("NetworkInterfaceId=eni-0b")
            && !form.contains("PrivateIpAddress"),
        "{form}"
    );
}

/// Keeps connections open, and answers nothing before `wanted` of them are; remembers each request with its connection's number.
async fn keeps_open(wanted: usize, asked: Arc<Mutex<Vec<(usize, String)>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (opened, _) = tokio::sync::watch::channel(0_usize);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            opened.send_modify(|count| *count += 1);
            let (number, mut opened, asked) = (*opened.borrow(), opened.subscribe(), asked.clone());
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                loop {
                    let mut some = [0; 4096];
                    match stream.read(&mut some).await {
                        Ok(0) | Err(_) => return,
                        Ok(n) => bytes.extend_from_slice(&some[..n]),
                    }
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    let whole = text.starts_with("GET") || text.contains("Action=");
                    if !(whole && text.contains("\r\n\r\n")) {
                        continue;
                    }
                    bytes.clear();
                    asked.lock().unwrap().push((number, text));
                    opened.wait_for(|count| *count >= wanted).await.unwrap();
                    let body = "<ReplaceRouteTableAssociationResponse><newAssociationId>rtbassoc-0c</newAssociationId>\
                                </ReplaceRouteTableAssociationResponse>";
                    let answer = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn f107_warm_connections_are_opened_without_a_call_and_are_those_that_the_moves_use() {
    let asked = Arc::default();
    let url = keeps_open(16, Arc::clone(&asked)).await;
    let ec2 = Server { url, asked: Arc::default() }.ec2(Timeouts::default());
    crate::act::warm(&ec2, 0).await;
    assert!(asked.lock().unwrap().is_empty());
    crate::act::warm(&ec2, 50).await;
    let knocks = std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(knocks.len(), 16, "as many as are made at once: {knocks:?}");
    for (_, text) in &knocks {
        let head = text.to_lowercase();
        assert!(head.starts_with("get / http/1.1"), "{text}");
        for told in ["action", "authorization", "x-amz", "content-"] {
            assert!(!head.contains(told), "{told}: {text}");
        }
    }
    let (association, table) = ids();
    let moves = futures_util::future::join_all((0..16).map(|_| ec2.associate(&association, &table, false))).await;
    assert!(moves.iter().all(Result::is_ok), "{moves:?}");
    let mut over: Vec<usize> = asked.lock().unwrap().iter().map(|(number, _)| *number).collect();
    over.sort_unstable();
    assert_eq!(over, (1..=16).collect::<Vec<_>>(), "each over one of its own, and none over a new one");
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_knocked_at_once_and_given_up() {
    let server = Server::with([]).await;
    crate::act::warm(&server.ec2(quick()), 1).await;
    assert_eq!(server.asked().len(), 1, "not tried again");
}

/// IMDS, whose credentials have so much left whenever they are asked for; each has its number in its key.
async fn gives_out(left: Duration) -> SharedCredentialsProvider {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut given = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 4096];
            let read = stream.read(&mut some).await.unwrap();
            let asked = String::from_utf8_lossy(&some[..read]).into_owned();
            let body = if asked.starts_with("PUT") {
                "token".to_owned()
            } else if asked.contains("security-credentials/role") {
                given += 1;
                let until = jiff::Timestamp::now() + left;
                format!(
                    r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIA{given}","SecretAccessKey":"s","Token":"t",
                       "LastUpdated":"2026-01-01T00:00:00Z","Expiration":"{until:.0}"}}"#
                )
            } else {
                "role".to_owned()
            };
            let answer = format!(
                "HTTP/1.1 200 X\r\nConnection: close\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let sources = ProviderConfig::without_region().with_http_client(http::direct());
    let imds = aws_config::imds::Client::builder().configure(&sources).endpoint(&url).unwrap().build();
    let provider =
        aws_config::imds::credentials::ImdsCredentialsProvider::builder().configure(&sources).imds_client(imds);
    SharedCredentialsProvider::new(provider.build())
}

/// The keys that calls were signed by: one first, as in the shadow of the confirming rounds, then sixteen at once.
async fn keys(left: Duration) -> Vec<String> {
    let asked = Arc::default();
    let url = keeps_open(1, Arc::clone(&asked)).await;
    let server = Server { url, asked: Arc::default() };
    let ec2 = server.ec2_signed_by(gives_out(left).await, Timeouts::default());
    let (association, table) = ids();
    ec2.associate(&association, &table, true).await.unwrap();
    let moves = futures_util::future::join_all((0..16).map(|_| ec2.associate(&association, &table, false))).await;
    assert!(moves.iter().all(Result::is_ok), "{moves:?}");
    let asked: Vec<(usize, String)> = std::mem::take(&mut *asked.lock().unwrap());
    let key = |text: &str| text.split_once("Credential=")?.1.split_once('/').map(|(key, _)| key.to_owned());
    asked.iter().map(|(_, text)| key(text).unwrap()).collect()
}

#[tokio::test]
async fn credentials_that_imds_may_still_give_out_serve_every_call_of_a_takeover() {
    let keys = keys(Duration::from_mins(5)).await;
    assert_eq!(keys, vec!["ASIA1"; 17], "fetched once, before the moves");
}

#[tokio::test]
async fn f057_credentials_that_may_not_outlast_a_takeover_are_fetched_anew_before_they_expire() {
    let keys = keys(Duration::from_secs(110)).await;
    assert!(keys[1..].iter().all(|key| key != "ASIA1"), "signed with what is about to expire: {keys:?}");
}

/// What is the SDK's, its HTTP client's or Rust's own, and says nothing to who reads a complaint.
const STRANGE: [&str; 20] = [
    "SdkError",
    "ServiceError",
    "DispatchFailure",
    "TimeoutError",
    "ResponseError",
    "ConstructionFailure",
    "ConnectorError",
    "Unhandled",
    "unhandled",
    "hyper",
    "rustls",
    "aws_",
    "smithy",
    "::",
    "Some(",
    "Err(",
    "Error {",
    "UnknownIssuer",
    "InvalidCertificate",
    "InvalidContentType",
];

/// All that is said of a server, of what it answers, and of the credentials.
async fn complaints(ec2: &Ec2) -> Vec<String> {
    let (association, table) = ids();
    let read = [
        ec2.tables(std::slice::from_ref(&table)).await.err(),
        ec2.instances(&["i-0b".parse().unwrap()]).await.err(),
        ec2.associate(&association, &table, false).await.err().map(|error| error.to_string()),
        ec2.disable_check(&"eni-0b".parse().unwrap(), false).await.err().map(|error| error.to_string()),
    ];
    read.into_iter().flatten().collect()
}

#[tokio::test]
async fn f057_f061_no_complaint_about_ec2_has_a_name_that_only_its_library_knows() {
    let mut said: Vec<(String, Vec<String>)> = Vec::new();
    let cut = "<DescribeRouteTablesResponse><routeTableSet><item>";
    let odd = "<DescribeRouteTablesResponse><routeTableSet><item><associationSet><item><main>perhaps</main></item></associationSet>\
               </item></routeTableSet></DescribeRouteTablesResponse>";
    for (status, body) in [
        (200, ""),
        (200, "<html>"),
        (200, cut),
        (200, odd),
        (301, "elsewhere"),
        (403, "<html>no</html>"),
        (404, ""),
        (500, "{\"message\": \"oops\"}"),
        (503, "busy"),
    ] {
        let server = Server::with((0..16).map(|_| Reply::Says(status, body.to_owned()))).await;
        said.push((format!("HTTP {status} {body}"), complaints(&server.ec2(quick())).await));
    }
    for code in
        ["UnauthorizedOperation", "AuthFailure", "RequestExpired", "InvalidRouteTableID.NotFound", "Throttling", "Odd"]
    {
        let server = Server::with((0..16).map(|_| fails(400, code, "because"))).await;
        said.push((code.to_owned(), complaints(&server.ec2(quick())).await));
    }
    let closing = Server::with((0..16).map(|_| Reply::Closes)).await;
    said.push(("closed connections".to_owned(), complaints(&closing.ec2(quick())).await));
    let short = Timeouts { attempt: Duration::from_millis(50), read: Duration::from_millis(100), ..quick() };
    let silent = Server::with([]).await;
    said.push(("silence".to_owned(), complaints(&silent.ec2(short)).await));
    let url = |url: &str| Server { url: url.to_owned(), asked: Arc::default() };
    said.push(("a closed port".to_owned(), complaints(&url("http://127.0.0.1:1").ec2(quick())).await));
    let plain = Server::with((0..16).map(|_| Reply::Says(200, String::new()))).await;
    let tls = url(&plain.url.replace("http:", "https:"));
    said.push(("no TLS".to_owned(), complaints(&tls.ec2(quick())).await));

    // Credentials that are not there, and a metadata service that gives none.
    let sources = ProviderConfig::without_region().with_http_client(http::direct());
    let none = aws_config::profile::ProfileFileCredentialsProvider::builder();
    let none = none.configure(&sources).profile_name("nobody's").build();
    said.push((
        "no profile".to_owned(),
        complaints(&closing.ec2_signed_by(SharedCredentialsProvider::new(none), quick())).await,
    ));
    let imds = aws_config::imds::Client::builder().configure(&sources).endpoint("http://127.0.0.1:1").unwrap();
    let imds = imds.max_attempts(1).build();
    let imds =
        aws_config::imds::credentials::ImdsCredentialsProvider::builder().configure(&sources).imds_client(imds).build();
    said.push((
        "no IMDS".to_owned(),
        complaints(&closing.ec2_signed_by(SharedCredentialsProvider::new(imds), quick())).await,
    ));

    for (what, texts) in &said {
        assert!(!texts.is_empty(), "{what}: nothing was found fault with");
        for text in texts {
            assert!(!text.contains('\n') && text.len() < 500, "{what}: {text}");
            for word in STRANGE {
                assert!(!text.contains(word), "{what}: {word:?} in {text:?}");
            }
        }
    }
}
