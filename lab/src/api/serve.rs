//! Takes connections, and carries each call through latency, faults, `DryRun`, moto and the fabric, in this order.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{Api, ApiFaultKind, Outcome, is_mutating, lock};
use crate::moto::{Reply, decode};
use crate::{vpc, xml};

/// Where the layer listens, and how.
pub(crate) struct Listener {
    pub(crate) socket: std::net::TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Serves until dropped.
pub(crate) async fn listen(api: Arc<Api>, listener: Listener) -> anyhow::Result<()> {
    listener.socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(listener.socket)?;
    loop {
        // A refused accept is one client's misfortune (it is gone, or descriptors ran out for a moment).
        let Ok((stream, _)) = socket.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        tokio::spawn(connection(Arc::clone(&api), stream, listener.tls.clone()));
    }
}

async fn connection(api: Arc<Api>, stream: TcpStream, tls: Option<TlsAcceptor>) {
    // Clients that go away, or do not like our certificate, are their own business: errors end the connection and no more.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve(api, stream).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(api, stream).await;
            }
        }
    }
}

/// One connection, to its end, or until it has been idle for too long.
async fn serve(api: Arc<Api>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let number = api.opened();
    // Bumped at the beginning and at the end of each request: an odd one is under way.
    let (turns, mut turned) = watch::channel(0_usize);
    let asked = Arc::clone(&api);
    let answer = hyper::service::service_fn(move |request| {
        let (api, turns) = (Arc::clone(&asked), turns.clone());
        turns.send_modify(|turn| *turn += 1);
        async move {
            let answered = answer(api, number, request).await;
            turns.send_modify(|turn| *turn += 1);
            answered
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new());
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), answer));
    loop {
        let waiting = turned.borrow_and_update().is_multiple_of(2);
        let limit = lock(&api.settings).idle.filter(|_| waiting);
        tokio::select! {
            _ = &mut connection => return,
            Ok(()) = turned.changed() => {}
            () = tokio::time::sleep(limit.unwrap_or(Duration::MAX)), if limit.is_some() => return,
        }
    }
}

/// The connection is to be closed without a reply.
#[derive(Debug)]
struct NoReply;

impl std::fmt::Display for NoReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reply is lost on purpose")
    }
}

impl std::error::Error for NoReply {}

async fn answer(
    api: Arc<Api>,
    connection: usize,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, NoReply> {
    // No call, as it has no action: a browser that looks by is sent to a page about the product.
    if request.method() == Method::GET && request.uri().query().is_none() {
        let elsewhere = Response::builder().status(302).header("location", "https://aws.amazon.com/ec2");
        return elsewhere.body(Full::default()).map_err(|_| NoReply);
    }
    let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
    // EC2's own bound on a request is far below this.
    let body = Limited::new(request.into_body(), 1 << 20).collect().await.map_err(|_| NoReply)?.to_bytes();
    let form = String::from_utf8_lossy(&body).into_owned();
    // A task of its own: a client that goes away does not undo what it has asked for.
    let reply =
        tokio::spawn(async move { call(&api, connection, form, authorization).await }).await.map_err(|_| NoReply)?;
    let Some(reply) = reply else { return Err(NoReply) };
    let response = Response::builder()
        .status(reply.status)
        .header("content-type", "text/xml;charset=UTF-8")
        .body(Full::from(reply.body));
    response.map_err(|_| NoReply)
}

/// `None`: no reply.
async fn call(api: &Arc<Api>, connection: usize, form: String, authorization: Option<String>) -> Option<Reply> {
    let params = decode(&form);
    let action = params.get("Action").cloned().unwrap_or_default();
    let ticket = api.log(connection, &action, &params);
    let latency = {
        let settings = lock(&api.settings);
        if is_mutating(&action) { settings.mutate_latency } else { settings.describe_latency }
    };
    let fault = lock(&api.armed).iter_mut().find_map(|armed| armed.hits(&action).then_some(armed.fault.kind));
    if fault == Some(ApiFaultKind::Hang) {
        api.close(ticket, Outcome::Hung);
        return std::future::pending().await;
    }
    let due = Instant::now() + latency;
    if let Some((status, code, message)) = refusal(fault, &action, &params) {
        tokio::time::sleep_until(due.into()).await;
        api.close(ticket, Outcome::Refused(code.to_owned()));
        return Some(error(status, code, &message));
    }
    if fault == Some(ApiFaultKind::Failed) {
        tokio::time::sleep_until(due.into()).await;
        api.close(ticket, Outcome::Refused("failed".to_owned()));
        return Some(Reply { status: 200, body: FAILED.to_owned() });
    }
    if !is_mutating(&action) {
        // A reading is of the moment at which it is answered.
        tokio::time::sleep_until(due.into()).await;
    }
    let stale = fault == Some(ApiFaultKind::Stale);
    let worker = Arc::clone(api);
    let done = tokio::task::spawn_blocking(move || {
        worker.carry_out(&action, &params, &form, authorization.as_deref(), stale, due)
    });
    let (reply, outcome, delayed) = match done.await.context("a call panicked").flatten() {
        Ok(done) => done,
        Err(trouble) => {
            api.close(ticket, Outcome::Refused("InternalError".to_owned()));
            return Some(error(500, "InternalError", &format!("the lab: {trouble:#}")));
        }
    };
    if delayed {
        let later = Arc::clone(api);
        let delay = lock(&api.settings).propagation;
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            // A lab that is going down has nothing left to sync.
            let _ = tokio::task::spawn_blocking(move || later.sync()).await;
        });
    }
    if fault == Some(ApiFaultKind::Lost) {
        api.close(ticket, Outcome::Lost);
        return None;
    }
    api.close(ticket, outcome);
    Some(reply)
}

/// Status, code and message of a call that is not carried out.
fn refusal(
    fault: Option<ApiFaultKind>,
    action: &str,
    params: &BTreeMap<String, String>,
) -> Option<(u16, &'static str, String)> {
    let dry_run = params.get("DryRun").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    match fault {
        Some(ApiFaultKind::Error500) => Some((500, "InternalError", "An internal error has occurred".to_owned())),
        Some(ApiFaultKind::Throttle) => Some((503, "RequestLimitExceeded", "Request limit exceeded.".to_owned())),
        Some(ApiFaultKind::Deny) => {
            Some((403, "UnauthorizedOperation", format!("You are not authorized to perform: ec2:{action}")))
        }
        _ if dry_run => {
            Some((412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.".to_owned()))
        }
        _ => None,
    }
}

impl Api {
    /// Asks moto, and lets the fabric follow; the last says whether it still has to. A change takes effect when it is `due`: what moto
    /// takes is part of the latency and not on top of it, as sixteen at once stand in line there, which they don't at EC2.
    fn carry_out(
        &self,
        action: &str,
        params: &BTreeMap<String, String>,
        form: &str,
        authorization: Option<&str>,
        stale: bool,
        due: Instant,
    ) -> anyhow::Result<(Reply, Outcome, bool)> {
        if let (true, Some(before)) = (stale, lock(&self.before).as_ref()) {
            let body = xml::complete_routes(&xml::answer_from(before, params)?, &self.world.instances())?;
            return Ok((Reply { status: 200, body }, Outcome::Stale, false));
        }
        let mutating = is_mutating(action);
        if mutating && lock(&self.armed).iter().any(|armed| armed.fault.kind == ApiFaultKind::Stale) {
            let now = self.moto.call("DescribeRouteTables", &[])?;
            *lock(&self.before) = Some(now);
        }
        let mut reply = self.moto.send(form, authorization)?;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if reply.status != 200 {
            let code = xml::first(&reply.body, "Code").unwrap_or_else(|_| reply.status.to_string());
            return Ok((reply, Outcome::Refused(code), false));
        }
        if action == "DescribeRouteTables" {
            reply.body = xml::complete_routes(&reply.body, &self.world.instances())?;
        }
        if !mutating {
            return Ok((reply, Outcome::Done, false));
        }
        self.mirror_check(params)?;
        if !lock(&self.settings).propagation.is_zero() {
            return Ok((reply, Outcome::Done, true));
        }
        match (action, params.get("AssociationId"), params.get("RouteTableId")) {
            ("ReplaceRouteTableAssociation", Some(old), Some(table)) => {
                self.world.moved(old, &xml::first(&reply.body, "newAssociationId")?, table)?;
            }
            _ => self.sync()?,
        }
        Ok((reply, Outcome::Done, false))
    }

    /// Sets a source/destination check at instance and interface alike, whichever of them was named.
    fn mirror_check(&self, params: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let Some(value) = params.get("SourceDestCheck.Value") else { return Ok(()) };
        let named = params.get("InstanceId").or_else(|| params.get("NetworkInterfaceId"));
        let ids = self.world.ids();
        if let Some(nat) = named.and_then(|id| ids.which(id)) {
            let nat = ids.nat(nat);
            vpc::set_check(&self.moto, &nat.instance, &nat.eni, value.eq_ignore_ascii_case("true"))?;
        }
        Ok(())
    }
}

const FAILED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
    <ReplaceRouteTableAssociationResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
    <requestId>lab</requestId><newAssociationId>rtbassoc-0failed</newAssociationId>\
    <associationState><state>failed</state><statusMessage>the lab says so</statusMessage></associationState>\
    </ReplaceRouteTableAssociationResponse>";

fn error(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>lab</RequestID></Response>"
    );
    Reply { status, body }
}
