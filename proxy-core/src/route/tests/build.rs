//! What a table says of the matches that it is built from.

use http::{Method, Request};

use super::support::{request, rule, rules, table};
use crate::route::{Error, Head, Match, Path, Refused, Table, Warning};

fn error(path: Path) -> Error {
    let broken = Match {
        path,
        ..Match::default()
    };
    let mut errors = Table::build(vec![Match::default(), broken]).unwrap_err();
    assert_eq!(errors.len(), 1);
    let (index, error) = errors.remove(0);
    assert_eq!(index, 1);
    error
}

#[test]
fn every_broken_match_is_told() {
    for path in ["", "a", "a/b", "*"] {
        let expected = Error::NotAbsolute(path.to_owned());
        assert_eq!(error(Path::Prefix(path.to_owned())), expected);
        assert_eq!(error(Path::Exact(path.to_owned())), expected);
    }
    assert!(matches!(
        error(Path::Exact("/a//b".to_owned())),
        Error::EmptySegment(_)
    ));
    assert!(matches!(
        error(Path::Exact("/a?b".to_owned())),
        Error::NotAPath(_)
    ));
    assert!(matches!(
        error(Path::Prefix("/a#b".to_owned())),
        Error::NotAPath(_)
    ));
    assert_eq!(
        error(Path::Exact(format!("/{}", "a".repeat(1024)))),
        Error::TooLong
    );
    let never = error(Path::Prefix("/a/%2e%2e".to_owned()));
    assert!(matches!(
        never,
        Error::NeverComes {
            why: Refused::DotSegment,
            ..
        }
    ));
    assert!(matches!(error(Path::Regex("(".to_owned())), Error::Path(_)));

    let broken = rules(&["* /", "* / x:~(", "* / ?q=~(", "* ~["]);
    let errors = Table::build(broken).unwrap_err();
    assert_eq!(
        errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!(matches!(errors[0].1, Error::Header(..)));
    assert!(matches!(errors[1].1, Error::Query(..)));
}

#[test]
fn what_is_never_taken_is_told() {
    let shadowed = |texts: &[&str]| -> Vec<(usize, usize)> {
        let table = table(texts);
        let pairs = |warning: &Warning| (warning.route, warning.by);
        table.warnings().iter().map(pairs).collect()
    };
    assert_eq!(
        shadowed(&["* /a", "* /a/", "* /%61", "* =/a"]),
        [(1, 0), (2, 0)]
    );
    assert_eq!(
        shadowed(&["* /a x:1 y:2", "* /a Y:2 X:1", "* /a x:1"]),
        [(1, 0)]
    );
    assert_eq!(shadowed(&["* /a x:1 x:2", "* /a x:1"]), [(1, 0)]);
    assert_eq!(shadowed(&["* /a GET", "* /a POST", "a.com /a GET"]), []);
    assert_eq!(shadowed(&["* /a", "* ~/.*", "* =/b", "a.com /c"]), [(0, 1)]);
    assert_eq!(shadowed(&["* /a", "* ~/.* GET", "* ~/.*x"]), []);
    assert_eq!(
        Warning { route: 2, by: 1 }.to_string(),
        "match 2 is never taken: match 1 goes first"
    );
}

#[test]
fn a_table_tells_why() {
    let table = table(&["*.example.com /a GET x-v:~[0-9] ?q=1", "* /", "* =/b"]);
    let request = request("shop.example.com/a/b?q=1 x-v:2");
    let ranking = table.ranking(&Head::of(&request));
    assert_eq!(ranking, [0, 1]);
    assert_eq!(
        table.get(0).unwrap().to_string(),
        "host *.example.com, path prefix /a, method GET, header x-v~[0-9], query q=1"
    );
    assert_eq!(table.get(1).unwrap().to_string(), "host *, path prefix /");
    assert_eq!(
        (table.get(3), table.len(), table.is_empty()),
        (None, 3, false)
    );
}

#[test]
fn the_target_goes_before_host() {
    let table = table(&["a.com /", "b.com /"]);
    let request = Request::builder()
        .uri("http://b.com/")
        .header("host", "a.com");
    assert_eq!(table.find(&Head::of(&request.body(()).unwrap())), Some(1));
}

#[test]
fn no_table_and_no_path_find_nothing() {
    let request = Request::builder().method(Method::OPTIONS).uri("*");
    let request = request.header("host", "a.com").body(()).unwrap();
    assert_eq!(table(&["* /"]).find(&Head::of(&request)), None);
    assert_eq!(table(&[]).find(&Head::of(&request)), None);
}

#[test]
fn what_is_no_name_is_looked_up_nowhere() {
    let long = "a.".repeat(10_000) + "com";
    let table = Table::build(vec![rule("*.com /"), rule("* /")]).unwrap();
    let request = request("x/");
    let mut head = Head::of(&request);
    head.authority = &long;
    assert_eq!(table.find(&head), Some(1));
}
