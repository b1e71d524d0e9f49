//! Certificates of one authority, for every name that is asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, DnType, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use serde_json::json;

/// Stands in certificates for clients that name nobody.
const NOBODY: &str = "nobody.test";

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "Internet of a test");
    params
}

/// A new authority as JSON: certificate and private key.
pub(crate) fn new_authority() -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = authority().self_signed(&key)?.pem();
    Ok(json!({ "certificate": certificate, "key": key.serialize_pem() }).to_string())
}

#[derive(Debug)]
struct Signer {
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
    known: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Signer {
    fn sign(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let mut params = CertificateParams::new([name.to_owned()]).ok()?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.key, &self.issuer).ok()?;
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).ok()?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key).ok()?;
        Some(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
    }
}

impl ResolvesServerCert for Signer {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or(NOBODY).to_owned();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(signed) = known.get(&name) {
            return Some(Arc::clone(signed));
        }
        let signed = self.sign(&name)?;
        known.insert(name, Arc::clone(&signed));
        Some(signed)
    }
}

/// A server's side of TLS, certified by the authority with this key.
pub(crate) fn server(authority_key: &str) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error + Send + Sync>> {
    let issuer = Issuer::new(authority(), KeyPair::from_pem(authority_key)?);
    let signer = Signer { issuer, key: KeyPair::generate()?, known: Mutex::default() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(signer));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
