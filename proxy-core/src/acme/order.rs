//! One order from its request to its certificate (RFC 8555, 7.4): challenges are answered, a key is made, and the chain is fetched.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, Identifier,
    NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::failure::{Failure, kind, told};
use super::params::Params;
use super::status::Outcome;
use crate::tls::{ChallengeKind, Challenges, Published};

/// How often a request is repeated whose nonce the authority refuses (RFC 8555, 6.5), beyond what the client
/// library does by itself.
pub(super) const NONCES: u32 = 10;

/// How long the authority may take to look at challenges, and to sign.
const DECISION: Duration = Duration::from_secs(120);

/// A chain and its key, both in PEM.
pub(super) struct Issued {
    pub(super) chain: String,
    pub(super) key: String,
}

/// Repeats a call while the authority refuses its nonce: that says nothing about the request.
macro_rules! patiently {
    ($call:expr) => {{
        let mut left = $crate::acme::order::NONCES;
        loop {
            match $call.await {
                Err(instant_acme::Error::Api(problem))
                    if left > 0 && $crate::acme::order::is_of_nonce(&problem) =>
                {
                    left -= 1;
                }
                other => break other,
            }
        }
    }};
}
pub(super) use patiently;

pub(super) fn is_of_nonce(problem: &Problem) -> bool {
    kind(problem) == Some("badNonce")
}

/// Obtains a certificate, which `replaces` another one where the authority advises on renewals. Answers to
/// challenges are published for as long as this takes.
pub(super) async fn obtain(
    params: &Params,
    account: &Account,
    replaces: Option<&CertificateIdentifier<'static>>,
) -> Result<Issued, Failure> {
    let mut order = begin(params, account, replaces).await?;
    let published = answer(params, &mut order).await?;
    let status = patiently!(order.poll_ready(&patience()));
    drop(published);
    match status {
        Ok(OrderStatus::Ready | OrderStatus::Valid) => {}
        Ok(_) => return Err(refusal(&mut order).await),
        Err(error) => {
            let failure = Failure::from(error);
            // A reason that stands at a challenge says more.
            return Err(match failure.outcome {
                Outcome::Refused => found(&mut order).await.unwrap_or(failure),
                _ => failure,
            });
        }
    }
    let (request, key) = request(params)?;
    patiently!(order.finalize_csr(&request))?;
    let chain = patiently!(order.poll_certificate(&patience()))?;
    Ok(Issued { chain, key })
}

async fn begin(
    params: &Params,
    account: &Account,
    replaces: Option<&CertificateIdentifier<'static>>,
) -> Result<Order, Failure> {
    let names = params.names.iter();
    let names: Vec<Identifier> = names.map(|name| Identifier::Dns(name.clone())).collect();
    if let Some(replaces) = replaces {
        let renewal = || NewOrder::new(&names).replaces(replaces.clone());
        match patiently!(account.new_order(&renewal())) {
            // It is an order like any other then (RFC 9773, 5).
            Err(Error::Api(problem)) if kind(&problem) == Some("alreadyReplaced") => {}
            Err(Error::Unsupported(_)) => {}
            order => return Ok(order?),
        }
    }
    Ok(patiently!(account.new_order(&NewOrder::new(&names)))?)
}

fn patience() -> RetryPolicy {
    RetryPolicy::default().timeout(DECISION)
}

/// Lets the answers be found, and says so.
async fn answer(params: &Params, order: &mut Order) -> Result<Vec<Published>, Failure> {
    let challenges = Challenges::of(&params.folder);
    let of_folder = |error| Failure::storage(&params.folder, &error);
    challenges.clear().map_err(of_folder)?;
    // All of them are fetched here, so that what follows only says that they are answered.
    patiently!(fetch(order))?;
    let mut published = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Pending => {}
            // A former order has shown it.
            AuthorizationStatus::Valid => continue,
            other => {
                let detail = format!("an authorization is {other:?} from the start");
                return Err(Failure::new(Outcome::Refused, detail));
            }
        }
        let name = authorization.identifier().to_string();
        let kind = match params.challenge {
            ChallengeKind::Http01 => ChallengeType::Http01,
            ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let Some(mut challenge) = authorization.challenge(kind) else {
            let detail = format!("the authority offers no such challenge for {name:.253}");
            return Err(Failure::new(Outcome::Refused, detail));
        };
        let subject = match params.challenge {
            ChallengeKind::Http01 => challenge.token.clone(),
            ChallengeKind::TlsAlpn01 => name,
        };
        let told = challenge.key_authorization();
        let told = challenges.publish(params.challenge, &subject, told.as_str());
        published.push(told.map_err(of_folder)?);
        patiently!(challenge.set_ready())?;
    }
    Ok(published)
}

async fn fetch(order: &mut Order) -> Result<(), instant_acme::Error> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        authorization?;
    }
    Ok(())
}

/// Why an order that is no longer valid is not.
async fn refusal(order: &mut Order) -> Failure {
    let found = found(order).await;
    found.unwrap_or_else(|| {
        let detail = match &order.state().error {
            Some(problem) => told(problem),
            None => "the authority refuses the order and gives no reason".to_owned(),
        };
        Failure::new(Outcome::Refused, detail)
    })
}

/// The challenge that the authority was not content with, if there is one.
async fn found(order: &mut Order) -> Option<Failure> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.ok()?;
        if patiently!(async { authorization.refresh().await.map(drop) }).is_err() {
            continue;
        }
        let name = authorization.identifier().to_string();
        let mut problems = authorization.challenges.iter();
        if let Some(problem) = problems.find_map(|challenge| challenge.error.as_ref()) {
            let detail = format!("{name:.253}: {}", told(problem));
            return Some(Failure::new(Outcome::Unverified, detail));
        }
    }
    None
}

/// A request for a certificate of a new key (RFC 2986), and the key in PEM.
fn request(params: &Params) -> Result<(Vec<u8>, String), Failure> {
    let made = || {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut wanted = CertificateParams::new(params.names.clone())?;
        // A name in it would have to be proven too, and nobody reads it.
        wanted.distinguished_name = DistinguishedName::new();
        let request = wanted.serialize_request(&key)?;
        Ok((request.der().to_vec(), key.serialize_pem()))
    };
    made().map_err(|error: rcgen::Error| Failure::new(Outcome::Unusable, error))
}
