//! What the filters of a gateway and of its routes mean: their settings, checked.

use std::ops::RangeInclusive;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::World;
use crate::config::{
    Answer, ContentCoding, Cors, FieldChanges, Gateway, Redirect, Rewrite, Route, RouteKey,
    RoutePath, WebScheme,
};
use crate::route::normal_path;
use crate::transform::pages::{self, Page};
use crate::transform::{PathChange, compress, cors, fixed, headers, hsts, redirect, rewrite};

/// A setting that cannot be, and where it stands below its filter.
pub(super) struct Wrong {
    /// The keys that lead there; none for the filter as a whole.
    pub(super) at: Vec<String>,
    pub(super) message: String,
    pub(super) help: String,
}

impl Wrong {
    fn new(at: &[&str], message: impl ToString, help: &str) -> Self {
        Self {
            at: at.iter().map(|key| (*key).to_owned()).collect(),
            message: message.to_string(),
            help: help.to_owned(),
        }
    }

    /// Where it stands.
    pub(super) fn below(&self) -> impl Iterator<Item = &str> {
        self.at.iter().map(String::as_str)
    }
}

/// What a route does besides sending on.
pub(super) struct Filters {
    pub(super) rewrite: Option<rewrite::Params>,
    pub(super) headers: headers::Params,
    pub(super) cors: Option<cors::Params>,
}

pub(super) fn of_route(key: &RouteKey, route: &Route) -> Result<Filters, Wrong> {
    let rewrite = match &route.rewrite {
        Some(rewrite) => Some(self::rewrite(key, rewrite)?),
        None => None,
    };
    let headers = headers::Params {
        request: changes(&route.headers.request),
        response: changes(&route.headers.response),
    };
    let (request, response) = (headers.request.clone(), headers.response.clone());
    let none = headers::Params::default;
    check_headers("request", headers::Params { request, ..none() })?;
    check_headers("response", headers::Params { response, ..none() })?;
    let cors = match &route.cors {
        Some(cors) => Some(self::cors(cors)?),
        None => None,
    };
    Ok(Filters {
        rewrite,
        headers,
        cors,
    })
}

/// Sees whether the fields of one half may be changed.
fn check_headers(half: &str, params: headers::Params) -> Result<(), Wrong> {
    let changes = match half {
        "request" => params.request.clone(),
        _ => params.response.clone(),
    };
    let Err(error) = headers::HeadersLayer::new(params) else {
        return Ok(());
    };
    let (headers::Error::Reserved(name) | headers::Error::Repeated(name)) = &error;
    let name = name.clone();
    let help = "leave it out";
    if let Some(place) = changes.remove.iter().position(|one| *one == name) {
        let at = ["headers", half, "remove", &place.to_string()];
        return Err(Wrong::new(&at, error, help));
    }
    let is_set = changes.set.iter().any(|(one, _)| *one == name);
    let key = if is_set { "set" } else { "add" };
    Err(Wrong::new(
        &["headers", half, key, name.as_str()],
        error,
        help,
    ))
}

/// The key that a wrong path is written at.
fn path_key(path: Option<&String>) -> &'static str {
    match path {
        Some(_) => "path",
        None => "prefix",
    }
}

fn changes(changes: &FieldChanges) -> headers::Changes {
    let pairs = |all: &std::collections::BTreeMap<crate::config::HeaderName, _>| {
        let all = all.iter();
        all.map(|(name, value): (_, &crate::config::FieldValue)| (name.0.clone(), value.0.clone()))
            .collect()
    };
    headers::Changes {
        set: pairs(&changes.set),
        add: pairs(&changes.add),
        remove: changes.remove.iter().map(|name| name.0.clone()).collect(),
    }
}

/// The change of a path by `path` or `prefix`.
fn path_change(
    key: &RouteKey,
    path: Option<&String>,
    prefix: Option<&String>,
) -> Option<PathChange> {
    match (path, prefix, key.path()) {
        (Some(path), ..) => Some(PathChange::Full(path.clone())),
        (_, Some(to), RoutePath::Prefix(from)) => {
            let from =
                normal_path(from).map_or_else(|_| from.clone(), |normal| normal.into_owned());
            Some(PathChange::Prefix {
                from,
                to: to.clone(),
            })
        }
        _ => None,
    }
}

fn rewrite(key: &RouteKey, rewrite: &Rewrite) -> Result<rewrite::Params, Wrong> {
    let host = match &rewrite.host {
        Some(host) => Some(host.parse().map_err(|_| {
            let message = format!("`{host}` is no host");
            Wrong::new(
                &["rewrite", "host"],
                message,
                "write a host, with a port where there is to be one",
            )
        })?),
        None => None,
    };
    let params = rewrite::Params {
        path: path_change(key, rewrite.path.as_ref(), rewrite.prefix.as_ref()),
        host,
    };
    match rewrite::RewriteLayer::new(params.clone()) {
        Ok(_) => Ok(params),
        Err(error @ rewrite::Error::Path(_)) => Err(Wrong::new(
            &["rewrite", path_key(rewrite.path.as_ref())],
            error,
            "write one like `/v2`",
        )),
        Err(error @ rewrite::Error::UserInformation(_)) => Err(Wrong::new(
            &["rewrite", "host"],
            error,
            "write the host alone",
        )),
    }
}

pub(super) fn redirect(
    key: &RouteKey,
    redirect: &Redirect,
    listener_scheme: Scheme,
    forwarded: bool,
) -> Result<redirect::Params, Wrong> {
    let params = redirect::Params {
        scheme: redirect.scheme.map(|scheme| match scheme {
            WebScheme::Http => Scheme::HTTP,
            WebScheme::Https => Scheme::HTTPS,
        }),
        host: redirect.host.clone(),
        port: redirect.port.map(|port| port.value() as u16),
        path: path_change(key, redirect.path.as_ref(), redirect.prefix.as_ref()),
        status: match redirect.status {
            Some(status) => StatusCode::from_u16(status.value() as u16)
                .map_err(|error| Wrong::new(&["status"], error, "write `302`"))?,
            None => StatusCode::FOUND,
        },
        listener_scheme,
        forwarded,
        listener_port: None,
    };
    match redirect::Redirect::new(params.clone()) {
        Ok(_) => Ok(params),
        Err(error @ redirect::Error::Status(_)) => Err(Wrong::new(
            &["status"],
            error,
            "write `302`, or leave it out",
        )),
        Err(error @ redirect::Error::Host(_)) => {
            let help = "write a name or an address; `port` is a key of its own";
            Err(Wrong::new(&["host"], error, help))
        }
        Err(error @ redirect::Error::Path(_)) => Err(Wrong::new(
            &[path_key(redirect.path.as_ref())],
            error,
            "write one like `/v2`",
        )),
        Err(error @ redirect::Error::Scheme(_)) => {
            Err(Wrong::new(&["scheme"], error, "write `https`"))
        }
    }
}

pub(super) fn answer(answer: &Answer, world: &World<'_>) -> Result<fixed::Params, Wrong> {
    let body = match (&answer.body, &answer.file) {
        (Some(text), _) => Bytes::from(text.clone()),
        (None, Some(file)) => read(file, world).map_err(|message| {
            Wrong::new(
                &["file"],
                message,
                "name a file that can be read, of at most 1 MiB",
            )
        })?,
        (None, None) => Bytes::new(),
    };
    let content_type = match &answer.content_type {
        Some(written) => Some(written.0.clone()),
        None if body.is_empty() => None,
        None => Some(type_of(answer.file.as_deref().unwrap_or_default())),
    };
    let status = StatusCode::from_u16(answer.status.value() as u16);
    let params = fixed::Params {
        status: status.map_err(|error| Wrong::new(&["status"], error, "write `404`"))?,
        body,
        content_type,
    };
    match fixed::Fixed::new(params.clone()) {
        Ok(_) => Ok(params),
        Err(error) => Err(Wrong::new(&["status"], error, "leave out the body")),
    }
}

/// What a file is, by its name.
fn type_of(file: &str) -> HeaderValue {
    HeaderValue::from_static(match file.rsplit('.').next() {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        _ => "text/plain; charset=utf-8",
    })
}

fn read(file: &str, world: &World<'_>) -> Result<Bytes, String> {
    (world.read)(file)
        .map(Bytes::from)
        .map_err(|error| format!("cannot read `{file}`: {error}"))
}

fn cors(cors: &Cors) -> Result<cors::Params, Wrong> {
    let origin = |text: &String| match text.strip_prefix('~') {
        Some(regex) => cors::Origin::Regex(regex.to_owned()),
        None if text == "*" => cors::Origin::Any,
        None => cors::Origin::Host(text.clone()),
    };
    if cors.credentials && cors.origins.iter().any(|origin| origin == "*") {
        let message = "every page of the web could call with cookies";
        return Err(Wrong::new(
            &["cors", "credentials"],
            message,
            "name the origins, or leave out `credentials`",
        ));
    }
    let params = cors::Params {
        origins: cors.origins.iter().map(origin).collect(),
        credentials: cors.credentials,
        methods: in_capitals(&cors.methods)
            .and_then(|()| names::<Method>("methods", &cors.methods, "a method"))?,
        headers: names::<HeaderName>("headers", &cors.headers, "the name of a header")?,
        expose: names::<HeaderName>("expose", &cors.expose, "the name of a header")?,
        max_age: cors.max_age.map(|age| age.std()),
    };
    for (place, origin) in params.origins.iter().enumerate() {
        let alone = cors::Params {
            origins: vec![origin.clone()],
            ..params.clone()
        };
        if let Err(error) = cors::CorsLayer::new(&alone) {
            let help = match origin {
                cors::Origin::Regex(_) => "write an expression behind `~` as docs/ingress.md says",
                _ => "write origins as browsers do: `https://app.example.com`",
            };
            let at = ["cors", "origins", &place.to_string()];
            return Err(Wrong::new(&at, error, help));
        }
    }
    match cors::CorsLayer::new(&params) {
        Ok(_) => Ok(params),
        Err(error) => {
            let help = "leave out the others, or `*`";
            Err(Wrong::new(&["cors", "origins"], error, help))
        }
    }
}

/// Browsers compare methods by case (Fetch Standard, CORS-preflight fetch).
fn in_capitals(methods: &[String]) -> Result<(), Wrong> {
    let small = |method: &&String| method.bytes().any(|byte| byte.is_ascii_lowercase());
    match methods.iter().enumerate().find(|(_, method)| small(method)) {
        None => Ok(()),
        Some((place, method)) => {
            let message = format!("`{method}` is no method that a browser sends");
            let help = format!("write `{}`", method.to_ascii_uppercase());
            let at = ["cors", "methods", &place.to_string()];
            Err(Wrong::new(&at, message, &help))
        }
    }
}

fn names<T: std::str::FromStr>(
    key: &str,
    written: &[String],
    what: &str,
) -> Result<cors::Names<T>, Wrong> {
    if written.iter().any(|name| name == "*") {
        return Ok(cors::Names::Any);
    }
    let parsed = written.iter().enumerate().map(|(place, name)| {
        name.parse().map_err(|_| {
            let message = format!("`{name}` is not {what}");
            let help = "write one, or `*` for every one";
            Wrong::new(&["cors", key, &place.to_string()], message, help)
        })
    });
    parsed.collect::<Result<_, _>>().map(cors::Names::These)
}

pub(super) fn hsts(gateway: &Gateway) -> Result<Option<hsts::Params>, Wrong> {
    let Some(hsts) = gateway.hsts.on() else {
        return Ok(None);
    };
    let params = hsts::Params {
        max_age: hsts.max_age.std(),
        include_subdomains: hsts.subdomains,
        preload: hsts.preload,
    };
    match hsts::HstsLayer::new(&params) {
        Ok(_) => Ok(Some(params)),
        Err(error) => {
            let help = "write `{max-age: 8760h, subdomains: true, preload: true}`";
            Err(Wrong::new(&["preload"], error, help))
        }
    }
}

pub(super) fn compress(gateway: &Gateway) -> Result<Option<compress::Params>, Wrong> {
    let Some(compress) = gateway.compress.on() else {
        return Ok(None);
    };
    let coding = |coding: &ContentCoding| match coding {
        ContentCoding::Zstd => compress::Coding::Zstd,
        ContentCoding::Br => compress::Coding::Brotli,
        ContentCoding::Gzip => compress::Coding::Gzip,
    };
    let usual = compress::Params::default();
    let params = compress::Params {
        codings: compress.codings.iter().map(coding).collect(),
        min_size: compress.min_size.len() as u64,
        types: match compress.types.as_slice() {
            [] => usual.types,
            types => types.to_vec(),
        },
    };
    match compress::CompressLayer::new(params.clone()) {
        Ok(_) => Ok(Some(params)),
        Err(error) => {
            let key = match error {
                compress::Error::NoCoding => "codings",
                compress::Error::Type(_) => "types",
            };
            let help = "write codings of `zstd`, `br` and `gzip`, and types like `text/*`";
            Err(Wrong::new(&[key], error, help))
        }
    }
}

/// The statuses of pages, and the pages.
pub(super) fn pages(gateway: &Gateway, world: &World<'_>) -> Result<pages::Params, Wrong> {
    let page = |(statuses, file): (&String, &String)| {
        let range = range(statuses).ok_or_else(|| {
            let message = format!("`{statuses}` is neither a status nor a range of them");
            Wrong::new(
                &[statuses],
                message,
                "write one like `404` or `502-504`, from 400 to 599",
            )
        })?;
        let body = read(file, world).map_err(|message| {
            Wrong::new(
                &[statuses],
                message,
                "name a file that can be read, of at most 1 MiB",
            )
        })?;
        let content_type = type_of(file);
        Ok((range, Page { body, content_type }))
    };
    let pages = gateway.errors.iter().map(page);
    Ok(pages::Params {
        pages: pages.collect::<Result<_, _>>()?,
    })
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| {
        let status = text.parse::<u16>().ok()?;
        (text.len() == 3 && (400..=599).contains(&status)).then_some(status)
    };
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some(first..=last)
}
