//! `deploy/image.sh` makes an image of a static binary and the authorities: one layer, no root, no shell.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use remora_tests::needs;
use remora_tests::sources::workspace;
use serde_json::{Value, json};
use tempfile::TempDir;

const IMAGE: &str = "remora/ambassador:test";

#[test]
fn it_holds_the_binary_and_the_authorities_and_nothing_else() {
    let Some(bench) = Bench::new() else { return };
    let said = done(&mut bench.script(&[&bench.binary, Path::new(IMAGE)]));
    let image = bench.unpack();
    let config = &image.config["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/ambassador"]));
    assert_eq!(config["ExposedPorts"], json!({"15000/tcp": {}}));
    assert_eq!(config["Cmd"], Value::Null);
    assert_eq!(image.config["os"], "linux");
    let wanted = [
        "-r-xr-xr-x 0/0 ambassador",
        "drwxr-xr-x 0/0 etc/",
        "drwxr-xr-x 0/0 etc/ssl/",
        "drwxr-xr-x 0/0 etc/ssl/certs/",
        "-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt",
    ];
    assert_eq!(image.files, wanted);
    let binary = bench.binary.metadata().expect("the binary").len();
    assert!(image.size < binary + 4096, "{} > {binary}", image.size);
    let id = image.id.trim_start_matches("sha256:");
    assert!(said.contains(id), "{said} tells the id {id}");
    assert!(said.contains("size: "), "{said} tells the size");
}

#[test]
fn authorities_can_be_left_out_or_missed() {
    let Some(bench) = Bench::new() else { return };
    let arguments: [&Path; 2] = [&bench.binary, Path::new(IMAGE)];
    done(bench.script(&arguments).env("CA_BUNDLE", ""));
    assert_eq!(bench.unpack().files, ["-r-xr-xr-x 0/0 ambassador"]);
    let said = refused(bench.script(&arguments).env("CA_BUNDLE", "nowhere"));
    assert!(said.contains("there is no file nowhere"), "{said}");
}

#[test]
fn what_cannot_run_in_an_empty_image_is_refused() {
    let Some(bench) = Bench::new() else { return };
    let dynamic = std::env::current_exe().expect("the path of this test");
    let text = bench.folder.path().join("hello.rs");
    for (binary, why) in [
        (dynamic.as_path(), "is not static"),
        (&text, "is no program for 64-bit Linux"),
        (Path::new("nowhere"), "there is no file nowhere"),
    ] {
        let said = refused(&mut bench.script(&[binary, Path::new(IMAGE)]));
        assert!(said.contains(why), "{said}");
    }
    let said = refused(&mut bench.script(&[Path::new("a"), Path::new("b"), Path::new("c")]));
    assert!(said.contains("usage"), "{said}");
    let arguments: [&Path; 2] = [&bench.binary, Path::new(IMAGE)];
    let said = refused(bench.script(&arguments).env("ROLE", "nobody"));
    assert!(said.contains("there is no role nobody"), "{said}");
}

#[test]
fn each_role_has_an_image_of_its_own() {
    let Some(bench) = Bench::new() else { return };
    let arguments: [&Path; 2] = [&bench.binary, Path::new(IMAGE)];
    for (role, port) in [("sidecar", "15010/tcp"), ("ingress", "15030/tcp")] {
        let mut script = bench.script(&arguments);
        done(script.env("ROLE", role).env("CA_BUNDLE", ""));
        let image = bench.unpack();
        let config = &image.config["config"];
        assert_eq!(config["Entrypoint"], json!([format!("/{role}")]));
        assert_eq!(config["ExposedPorts"], json!({port: {}}));
        assert_eq!(config["User"], "65532:65532");
        assert_eq!(image.files, [format!("-r-xr-xr-x 0/0 {role}")]);
    }
}

/// A folder with a static binary, a file of authorities, and a storage for images of its own.
struct Bench {
    folder: TempDir,
    binary: PathBuf,
}

/// What the storage holds as [`IMAGE`].
struct Image {
    id: String,
    config: Value,
    /// Rights, owner and path of each file of the only layer.
    files: Vec<String>,
    /// The bytes of the layer as it is pushed.
    size: u64,
}

impl Bench {
    /// `None` where a program is missing.
    fn new() -> Option<Self> {
        if !needs::met(&[("buildah", "buildah"), ("rustc", "rustup")], false) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let (graph, run) = (path.join("graph"), path.join("run"));
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            graph.display(),
            run.display()
        );
        write(path, "storage.conf", &storage);
        write(path, "authorities", "of the test\n");
        write(path, "hello.rs", "fn main() { println!(\"hello\"); }\n");
        let mut rustc = Command::new("rustc");
        rustc.args(["-C", "target-feature=+crt-static", "hello.rs"]);
        done(rustc.current_dir(path));
        let binary = path.join("hello");
        Some(Self { folder, binary })
    }

    fn script(&self, arguments: &[&Path]) -> Command {
        let mut script = self.command(&workspace().join("deploy/image.sh"));
        script.args(arguments);
        script
    }

    fn command(&self, program: &Path) -> Command {
        let path = self.folder.path();
        let mut command = Command::new(program);
        command
            .current_dir(path)
            .env("CONTAINERS_STORAGE_CONF", path.join("storage.conf"))
            .env("CA_BUNDLE", path.join("authorities"));
        command
    }

    /// Reads the image as a registry would get it.
    fn unpack(&self) -> Image {
        let folder = self.folder.path().join("oci");
        // What was pushed there before would stay beside it.
        let _ = std::fs::remove_dir_all(&folder);
        let target = format!("oci:{}:image", folder.display());
        let mut buildah = self.command(Path::new("buildah"));
        done(buildah.args(["push", "--quiet", IMAGE, &target]));
        let blob = |of: &Value| {
            let digest = of["digest"].as_str().expect("a digest");
            folder.join("blobs").join(digest.replace(':', "/"))
        };
        let index = read(&folder.join("index.json"));
        let manifest = read(&blob(&index["manifests"][0]));
        let layers = manifest["layers"].as_array().expect("layers");
        assert_eq!(layers.len(), 1, "{manifest}");
        let layer = blob(&layers[0]);
        let mut tar = self.command(Path::new("tar"));
        let list = done(tar.args(["--numeric-owner", "-tvzf"]).arg(&layer));
        Image {
            id: manifest["config"]["digest"]
                .as_str()
                .expect("an id")
                .to_owned(),
            config: read(&blob(&manifest["config"])),
            files: list.lines().map(shown).collect(),
            size: layer.metadata().expect("a layer").len(),
        }
    }
}

/// A line of tar's list without the size and the time.
fn shown(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    format!("{} {} {}", words[0], words[1], words[words.len() - 1])
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file");
}

fn read(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

/// Runs a command that must succeed, and returns what it printed.
fn done(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command that must refuse what it is given, and returns why it does.
fn refused(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
    said
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|why| panic!("{command:?}: {why}"))
}
