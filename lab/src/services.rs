//! The lab's own servers on one thread: the API's layer, IMDS, the echo service. Sockets are made inside the namespaces; the
//! thread itself stays outside.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;

use crate::api::{Api, Listener, listen};
use crate::imds;
use crate::netns::within;
use crate::plan::{API, ECHO, IMDS, Nat, Plan, REGION};
use crate::prompt::prompt;
use crate::vpc::Ids;

/// Ends its servers when dropped.
#[derive(Debug)]
pub(crate) struct Services {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Services {
    pub(crate) fn start(plan: &Arc<Plan>, ids: &Arc<Ids>, api: &Arc<Api>) -> anyhow::Result<Self> {
        let internet = &plan.internet()?.ns;
        let tls = if plan.tls { Some(certificate(plan)?) } else { None };
        let port = if tls.is_some() { 443 } else { 80 };
        let listener = Listener { socket: bind(internet, (API, port).into())?, tls };
        let echo = within(internet, || Ok(UdpSocket::bind(ECHO)?))?;
        let mut metadata = Vec::new();
        for nat in Nat::BOTH {
            metadata.push((nat, bind(&plan.nat(nat)?.ns, (IMDS, 80).into())?));
        }
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (api, ids) = (Arc::clone(api), Arc::clone(ids));
        let thread = thread::Builder::new().name("lab-services".to_owned()).spawn(move || {
            prompt();
            runtime.block_on(async move {
                tokio::spawn(listen(api, listener));
                tokio::spawn(repeat_back(echo));
                for (nat, socket) in metadata {
                    tokio::spawn(imds::listen(imds::Instance::new(&ids, nat), socket));
                }
                // Asked to stop, or the lab is gone: both end here.
                let _ = stopped.await;
            });
            // A call that hangs on purpose, or a question to a dead moto, must not hold up the lab's end.
            runtime.shutdown_timeout(Duration::from_millis(200));
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Its thread may have ended already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}

fn bind(ns: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    within(ns, || TcpListener::bind(address).with_context(|| format!("listen on {address} in {ns}")))
}

async fn repeat_back(socket: UdpSocket) -> anyhow::Result<()> {
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    let mut buffer = [0_u8; 2048];
    loop {
        // An ICMP error of an earlier reply shows up here; the flow's own measure counts what it lost.
        if let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(buffer.get(..length).unwrap_or_default(), from).await;
        }
    }
}

/// An authority of the lab's own, its certificate left in [`Plan::ca`], and a server certificate for the API.
fn certificate(plan: &Plan) -> anyhow::Result<TlsAcceptor> {
    let authority_key = rcgen::KeyPair::generate()?;
    let mut authority = rcgen::CertificateParams::new(Vec::new())?;
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, format!("natwatch lab {}", plan.id));
    std::fs::write(plan.ca(), authority.self_signed(&authority_key)?.pem())?;
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate()?;
    let names = vec![API.to_string(), format!("ec2.{REGION}.amazonaws.com")];
    let certificate = rcgen::CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let secret =
        rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
