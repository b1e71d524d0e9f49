//! Certificates: whose are believed, and those the gateway shows to the sandbox for hosts whose TLS it opens.
//!
//! One key serves all hosts and never leaves this process; certificates are made when they are first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use boxwood_core::egress::Host;
use boxwood_protocol::gateway::{Authority, Configure};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::state::lock;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long certificates count, and how long before they are made anew.
const COUNTS: Duration = Duration::from_secs(14 * DAY.as_secs());
const RENEWED: Duration = Duration::from_secs(7 * DAY.as_secs());
/// Certificates that are kept.
const KEPT: usize = 256;
/// What is spoken in TLS that was opened.
const HTTP1: &[u8] = b"http/1.1";

/// Why authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The sandbox's authority is no authority.
    #[error("the sandbox's authority cannot be read: {0}")]
    Authority(#[source] rcgen::Error),
    /// What is to be trusted is no list of certificates.
    #[error("the trusted authorities cannot be read: {0}")]
    Trusted(String),
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why a host gets no certificate.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// The sandbox has no authority.
    #[error("this sandbox has no authority")]
    None,
    /// It cannot be made.
    #[error("the certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// It cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Use(#[from] rustls::Error),
}

struct Made {
    config: Arc<ServerConfig>,
    at: SystemTime,
}

/// Whose certificates are believed, and those that are made.
pub struct Trust {
    authority: Option<Authority>,
    trusted: Option<String>,
    issuer: Option<Issuer<'static, KeyPair>>,
    key: OnceLock<KeyPair>,
    client: OnceLock<Arc<ClientConfig>>,
    made: Mutex<HashMap<Host, Made>>,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Trust").field("opens", &self.issuer.is_some()).finish_non_exhaustive()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Trust {
    /// Reads the authorities of a configuration.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn new(configure: &Configure) -> Result<Self, TrustError> {
        let issuer = configure.authority.as_ref().map(issuer).transpose().map_err(TrustError::Authority)?;
        // Read now, so that a mistake is an answer to whoever made it; the list itself is made when it is needed.
        extra(configure.trusted.as_deref())?;
        Ok(Self {
            authority: configure.authority.clone(),
            trusted: configure.trusted.clone(),
            issuer,
            key: OnceLock::new(),
            client: OnceLock::new(),
            made: Mutex::default(),
        })
    }

    /// Whether a configuration has the same authorities.
    #[must_use]
    pub fn is_of(&self, configure: &Configure) -> bool {
        self.authority == configure.authority && self.trusted == configure.trusted
    }

    /// Whether TLS can be opened.
    #[must_use]
    pub const fn opens(&self) -> bool {
        self.issuer.is_some()
    }

    /// How to be a client of the hosts whose TLS is opened.
    ///
    /// # Errors
    /// When the authorities cannot be used.
    pub fn client(&self) -> Result<Arc<ClientConfig>, TrustError> {
        if let Some(client) = self.client.get() {
            return Ok(Arc::clone(client));
        }
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        // A list of a company's authorities may have some that are too odd to be used; they are then not believed.
        roots.add_parsable_certificates(extra(self.trusted.as_deref())?);
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP1.to_vec()];
        Ok(Arc::clone(self.client.get_or_init(|| Arc::new(config))))
    }

    /// How to be the server of a host.
    ///
    /// # Errors
    /// When there is no authority or the certificate cannot be made.
    pub fn server(&self, host: &Host) -> Result<Arc<ServerConfig>, LeafError> {
        let now = SystemTime::now();
        let mut made = lock(&self.made);
        if let Some(made) = made.get(host).filter(|made| now.duration_since(made.at).is_ok_and(|age| age < RENEWED)) {
            return Ok(Arc::clone(&made.config));
        }
        if made.len() >= KEPT {
            made.clear();
        }
        let config = Arc::new(self.make(host, now)?);
        made.insert(host.clone(), Made { config: Arc::clone(&config), at: now });
        Ok(config)
    }

    fn make(&self, host: &Host, now: SystemTime) -> Result<ServerConfig, LeafError> {
        let issuer = self.issuer.as_ref().ok_or(LeafError::None)?;
        let key = match self.key.get() {
            Some(key) => key,
            None => {
                let fresh = KeyPair::generate()?;
                self.key.get_or_init(|| fresh)
            }
        };
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = vec![match host {
            Host::Name(name) => SanType::DnsName(name.as_str().try_into()?),
            Host::Address(address) => SanType::IpAddress(*address),
        }];
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(DnType::OrganizationName, "Boxwood");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        // The sandbox's clock is this one, but clients compare strictly.
        parameters.not_before = (now - DAY).into();
        parameters.not_after = (now + COUNTS).into();
        let certificate = parameters.signed_by(key, issuer)?;
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let certified = CertifiedKey::from_der(vec![certificate.der().clone()], private, &provider())?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![HTTP1.to_vec()];
        // Who returns pays a little; nothing is kept for those who do not.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

fn issuer(authority: &Authority) -> Result<Issuer<'static, KeyPair>, rcgen::Error> {
    Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)
}

fn extra(trusted: Option<&str>) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let Some(text) = trusted else { return Ok(Vec::new()) };
    CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| TrustError::Trusted(cause.to_string()))
}
