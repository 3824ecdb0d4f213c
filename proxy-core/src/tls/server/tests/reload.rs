//! Files change while handshakes run: none fails, and none sees a half of one pair and a half of another.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::support::*;
use crate::tls::{Acceptor, AcceptorParams, InvalidPart};

const NAME: &str = "a.example.com";

async fn shown(acceptor: &Acceptor) -> rustls::pki_types::CertificateDer<'static> {
    let client = Client::default().config();
    meet(acceptor, &client, NAME).await.1.unwrap().shown
}

/// Lets the acceptor follow its files until it shows this pair.
async fn followed(acceptor: &Acceptor, expected: &Pair) {
    let until = async {
        while shown(acceptor).await != expected.der() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = until => {}
        () = acceptor.follow("test") => unreachable!(),
    }
}

#[tokio::test]
async fn a_thousand_swaps_fail_no_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ca = authority("ca");
    let pairs = [issue(&ca, &[NAME]), issue(&ca, &[NAME])];
    let acceptor = Acceptor::new(AcceptorParams {
        pairs: vec![pairs[0].write(path, "tls")],
        ..Default::default()
    })
    .unwrap();
    let acceptor = Arc::new(acceptor);
    let done = Arc::new(AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let (acceptor, done) = (Arc::clone(&acceptor), Arc::clone(&done));
        let (path, pairs) = (path.to_owned(), pairs.clone());
        move || {
            for turn in 1..=1000 {
                place(&path, "tls.crt", &pairs[turn % 2].cert);
                // Half of it is written: nothing is taken of it.
                assert_eq!(acceptor.reload().unwrap_err().part, InvalidPart::Key);
                place(&path, "tls.key", &pairs[turn % 2].key);
                acceptor.reload().unwrap();
            }
            done.store(true, Relaxed);
        }
    });
    let mut seen = [0, 0];
    while !done.load(Relaxed) {
        // The client verifies the server's signature with the key of what is shown.
        let shown = shown(&acceptor).await;
        let at = pairs.iter().position(|pair| pair.der() == shown);
        seen[at.unwrap()] += 1;
    }
    swapping.join().unwrap();
    assert!(seen[0] + seen[1] > 0);
}

#[tokio::test]
async fn files_are_followed_and_a_mismatched_pair_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ca = authority("ca");
    let [old, new, last] = [(); 3].map(|()| issue(&ca, &[NAME]));
    let acceptor = Acceptor::new(AcceptorParams {
        pairs: vec![old.write(path, "tls")],
        ..Default::default()
    })
    .unwrap();
    place(path, "tls.crt", &new.cert);
    let invalid = acceptor.reload().unwrap_err();
    assert_eq!(invalid.file, path.join("tls.key"));
    assert!(invalid.message.contains("tls.crt"), "{invalid}");
    assert_eq!(shown(&acceptor).await, old.der());
    place(path, "tls.key", &new.key);
    followed(&acceptor, &new).await;
    last.write(path, "tls");
    followed(&acceptor, &last).await;
}

/// Writes a folder as the kubelet does, and lets `..data` lead there.
fn mount(volume: &Path, version: &str, pair: &Pair) {
    let folder = volume.join(version);
    std::fs::create_dir(&folder).unwrap();
    pair.write(&folder, "tls");
    symlink(version, volume.join("..data_tmp")).unwrap();
    std::fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}

#[tokio::test]
async fn a_secret_that_kubernetes_mounts_is_followed_as_a_folder_and_as_files() {
    let volume = tempfile::tempdir().unwrap();
    let path = volume.path();
    let ca = authority("ca");
    let [old, new, last] = [(); 3].map(|()| issue(&ca, &[NAME]));
    mount(path, "..1", &old);
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), path.join(name)).unwrap();
    }
    let of_folder = Acceptor::new(AcceptorParams {
        folders: vec![path.to_owned()],
        ..Default::default()
    })
    .unwrap();
    let of_files = Acceptor::new(AcceptorParams {
        pairs: vec![(path.join("tls.crt"), path.join("tls.key"))],
        ..Default::default()
    })
    .unwrap();
    for (version, pair) in [("..2", &new), ("..3", &last)] {
        mount(path, version, pair);
        followed(&of_folder, pair).await;
        followed(&of_files, pair).await;
    }
}

#[tokio::test]
async fn pairs_come_into_a_folder_and_leave_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ca = authority("ca");
    let (one, two) = (issue(&ca, &["b.example.com"]), issue(&ca, &[NAME]));
    one.write(path, "one");
    let acceptor = Acceptor::new(AcceptorParams {
        folders: vec![path.to_owned()],
        ..Default::default()
    })
    .unwrap();
    assert_eq!(shown(&acceptor).await, one.der());
    two.write(path, "two");
    followed(&acceptor, &two).await;
    std::fs::remove_file(path.join("two.key")).unwrap();
    followed(&acceptor, &one).await;
    std::fs::remove_file(path.join("one.key")).unwrap();
    assert_eq!(acceptor.reload().unwrap_err().part, InvalidPart::Folder);
    assert_eq!(shown(&acceptor).await, one.der());
}
