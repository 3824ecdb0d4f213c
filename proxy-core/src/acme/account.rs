//! Our account at an authority: made once for each directory, and kept with its key over restarts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use instant_acme::{Account, AccountCredentials, NewAccount};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use super::client::Client;
use super::failure::Failure;
use super::order::patiently;
use super::params::Params;
use crate::tls::write_private;

/// What is kept of an account. It holds the account's key.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// Whom the authority was told it may write to.
    contact: Vec<String>,
    credentials: AccountCredentials,
}

/// The account that the folder has, or a new one. Called by whoever has the lock.
pub(super) async fn account(params: &Params, client: &Client) -> Result<Account, Failure> {
    let contact: Vec<&str> = params.contact.iter().map(String::as_str).collect();
    if let Some(account) = known(params, client).await? {
        let file = file(params);
        // Read again: what is kept of it cannot be had of the account.
        if let Some(stored) = read(&file, params)?
            && stored.contact != params.contact
        {
            patiently!(account.update_contacts(&contact))?;
            write(&file, params, stored.credentials)?;
        }
        return Ok(account);
    }
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let directory = || params.directory.clone();
    let made = patiently!(builder(client).create(&new, directory(), None));
    let (account, credentials) = made?;
    write(&file(params), params, credentials)?;
    tracing::info!(directory = params.directory, "made an account for ACME");
    Ok(account)
}

/// The account that the folder has, if there is one. Nothing is written.
pub(super) async fn known(params: &Params, client: &Client) -> Result<Option<Account>, Failure> {
    match read(&file(params), params)? {
        None => Ok(None),
        Some(stored) => {
            let account = builder(client).from_credentials(stored.credentials).await?;
            Ok(Some(account))
        }
    }
}

/// Forgets an account that the authority does not know.
pub(super) fn forget(params: &Params) {
    let _ = fs::remove_file(file(params));
}

fn builder(client: &Client) -> instant_acme::AccountBuilder {
    Account::builder_with_http(Box::new(client.clone()))
}

fn read(file: &Path, params: &Params) -> Result<Option<Stored>, Failure> {
    let text = match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| Failure::storage(file, &error))?,
    };
    let value: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    let directory = value.as_ref().map(|all| &all["credentials"]["directory"]);
    let is_of_it = directory.is_some_and(|directory| *directory == *params.directory);
    let stored = value.and_then(|value| serde_json::from_value(value).ok());
    // What the file holds is never told: it may be a key.
    stored.filter(|_| is_of_it).map(Some).ok_or_else(|| {
        let what = "holds no account of this directory; take it away, and another one is made";
        Failure::storage(file, &io::Error::other(what))
    })
}

fn write(file: &Path, params: &Params, credentials: AccountCredentials) -> Result<(), Failure> {
    let stored = Stored {
        contact: params.contact.clone(),
        credentials,
    };
    let written = serde_json::to_vec(&stored).map_err(io::Error::other);
    written
        .and_then(|text| write_private(file, &text))
        .map_err(|error| Failure::storage(file, &error))
}

/// Each directory has an account of its own.
fn file(params: &Params) -> PathBuf {
    let print = XxHash64::oneshot(0, params.directory.as_bytes());
    params.folder.join(format!("account-{print:016x}.json"))
}
