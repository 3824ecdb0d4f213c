//! The types of a gateway's routes: which request is whose, and what becomes of it.

use std::sync::Arc;

use crate::route::{ByHost, Error, Match, Table};
use crate::transform::{compress, cors, fixed, headers, hsts, pages, redirect, rewrite};

/// The routes of one listener.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutesPlan {
    /// Which route a request is for.
    pub table: RouteTable,
    /// The routes.
    pub routes: Vec<RoutePlan>,
    /// What is put in the place of our own failures.
    pub pages: pages::Params,
    /// What browsers are told about TLS.
    pub hsts: Option<hsts::Params>,
    /// Which responses are compressed.
    pub compress: Option<compress::Params>,
    /// The hosts whose TLS is passed through, and the entries that it is led to: no connection that ends here is theirs.
    pub elsewhere: ByHost<Arc<str>>,
}

/// What becomes of the requests of one route.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutePlan {
    /// What it is called: as it is written, or its label.
    pub name: Arc<str>,
    /// Who answers.
    pub to: LeadsTo,
    /// How the path and the host are changed before.
    pub rewrite: Option<rewrite::Params>,
    /// How header fields are changed.
    pub headers: headers::Params,
    /// Which pages of other origins may call.
    pub cors: Option<cors::Params>,
}

/// Who answers the requests of a route.
#[derive(Debug, Clone, PartialEq)]
pub enum LeadsTo {
    /// The entry of this name, which listens nowhere.
    Entry(Arc<str>),
    /// A redirect.
    Redirect(redirect::Params),
    /// An answer of our own.
    Fixed(fixed::Params),
}

impl RoutesPlan {
    /// Whether something is changed of every route's responses.
    pub fn changes_all(&self) -> bool {
        self.hsts.is_some() || self.compress.is_some() || !self.pages.pages.is_empty()
    }
}

impl RoutePlan {
    /// The entry that it leads to, if requests and responses go through as they are.
    pub fn plain(&self) -> Option<&str> {
        let plain = self.rewrite.is_none() && self.cors.is_none();
        match &self.to {
            LeadsTo::Entry(entry) if plain && self.headers == headers::Params::default() => {
                Some(entry)
            }
            _ => None,
        }
    }
}

/// A table, and the route of each of its matches. Two are equal that ask for the same.
#[derive(Debug, Clone)]
pub struct RouteTable {
    table: Arc<Table>,
    /// The index of the route of each match.
    routes: Arc<[u32]>,
}

impl RouteTable {
    /// Compiles matches, each with the index of its route.
    ///
    /// # Errors
    ///
    /// Every match that cannot be compiled, by its index.
    pub fn build(matches: Vec<(Match, u32)>) -> Result<Self, Vec<(usize, Error)>> {
        let (matches, routes): (Vec<_>, Vec<_>) = matches.into_iter().unzip();
        Ok(Self {
            table: Arc::new(Table::build(matches)?),
            routes: routes.into(),
        })
    }

    /// The table itself.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The route of a match.
    pub fn route(&self, of_match: usize) -> Option<usize> {
        self.routes.get(of_match).map(|route| *route as usize)
    }
}

impl PartialEq for RouteTable {
    fn eq(&self, other: &Self) -> bool {
        let same = |index| self.table.get(index) == other.table.get(index);
        Arc::ptr_eq(&self.table, &other.table)
            || (self.routes == other.routes
                && self.table.len() == other.table.len()
                && (0..self.table.len()).all(same))
    }
}
