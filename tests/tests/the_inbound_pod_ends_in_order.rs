//! `deploy/sidecar.yaml` closes the door in before its workload ends, and is probed, bounded and without privileges;
//! `docs/sidecar.md` tells the defaults as they are.

use std::path::Path;

use remora_tests::certificates::{Authority, place};
use remora_tests::cookbook::{housed, secure};
use remora_tests::promise::promise;
use remora_tests::proxy::{SIDECAR, run_in};
use remora_tests::sources::workspace;
use remora_tests::yaml;
use serde_json::{Value, json};

fn text_of(file: &str) -> String {
    std::fs::read_to_string(workspace().join(file)).expect("a file")
}

/// The `ConfigMap`, the Service and the pod.
fn documents() -> [Value; 3] {
    let documents = yaml::documents(&text_of("deploy/sidecar.yaml"));
    let documents: [Value; 3] = documents.try_into().expect("three documents");
    let kinds = documents.each_ref().map(|document| &document["kind"]);
    assert_eq!(kinds, ["ConfigMap", "Service", "Pod"]);
    documents
}

/// What a file means, with every default.
async fn effective(folder: &Path, text: &str) -> String {
    place(folder, "remora.yaml", text);
    let output = run_in(
        SIDECAR,
        folder,
        &["check", "--effective", "-c", "remora.yaml"],
    )
    .await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_sidecar_drains_while_the_workload_pauses() {
    promise(async {
        let [map, _, pod] = documents();
        let folder = tempfile::tempdir().expect("a folder");
        let text = map["data"]["remora.yaml"].as_str().expect("a file");
        secure(folder.path(), &Authority::new("nobody"));
        let text = housed(text, folder.path());
        let meant = yaml::documents(&effective(folder.path(), &text).await);
        let spec = &pod["spec"];
        let (sidecar, workload) = (&spec["initContainers"][0], &spec["containers"][0]);
        assert_eq!(sidecar["restartPolicy"], "Always");
        let drain = &sidecar["lifecycle"]["preStop"]["exec"]["command"];
        assert_eq!(drain[0], "/sidecar");
        assert_eq!(drain[1], "drain");
        assert_eq!(json!([drain[2], drain[3]]), sidecar["args"]);
        let seconds = |text: &Value| {
            let text = text.as_str().and_then(|text| text.strip_suffix('s'));
            text.and_then(|text| text.parse::<u64>().ok())
                .expect("seconds")
        };
        let [delay, timeout] = ["delay", "timeout"].map(|key| seconds(&meant[0]["drain"][key]));
        let pause = workload["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64();
        let grace = spec["terminationGracePeriodSeconds"].as_u64();
        assert!(
            pause.is_some_and(|pause| pause > delay),
            "{pause:?} {delay}"
        );
        assert!(seconds(&drain[5]) > delay + timeout && grace > Some(seconds(&drain[5])));
        // The workload starts after the sidecar, which must not wait for it to begin.
        assert_eq!(sidecar["startupProbe"]["httpGet"]["path"], "/livez");
        assert_eq!(sidecar["readinessProbe"]["httpGet"]["path"], "/readyz");
    });
}

#[test]
fn the_kubelet_and_callers_find_their_ports() {
    let [map, service, pod] = documents();
    let sidecar = &pod["spec"]["initContainers"][0];
    let ports = sidecar["ports"].as_array().expect("ports");
    let port = |name: &str| {
        let named = ports.iter().find(|port| port["name"] == name);
        named.expect("a port of that name")["containerPort"].clone()
    };
    let text = map["data"]["remora.yaml"].as_str().expect("a file");
    let file = &yaml::documents(text)[0];
    assert_eq!(file["admin"], format!("0.0.0.0:{}", port("admin")));
    assert_eq!(
        file["sidecar"]["web"]["listen"],
        format!(":{}", port("web"))
    );
    let scraped = &pod["metadata"]["annotations"]["prometheus.io/port"];
    assert_eq!(*scraped, port("admin").to_string());
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(sidecar[probe]["httpGet"]["port"], "admin", "{probe}");
    }
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "web");
    assert_eq!(service["spec"]["selector"], pod["metadata"]["labels"]);
}

#[test]
fn it_is_our_image_bounded_and_follows_its_files() {
    let [map, _, pod] = documents();
    let spec = &pod["spec"];
    let sidecar = &spec["initContainers"][0];
    let image = sidecar["image"].as_str().expect("an image");
    let version = image.strip_prefix("remora/sidecar:").expect("our image");
    assert!(text_of("Cargo.toml").contains(&format!("version = \"{version}\"")));
    for bound in [
        "/requests/cpu",
        "/requests/memory",
        "/limits/cpu",
        "/limits/memory",
    ] {
        let value = sidecar["resources"].pointer(bound);
        assert!(value.is_some_and(Value::is_string), "{bound}");
    }
    let mounts = sidecar["volumeMounts"].as_array().expect("mounts");
    let volumes = spec["volumes"].as_array().expect("volumes");
    let mounted = |number: usize| {
        // As a folder: a file of its own would not follow what is mounted.
        assert_eq!(mounts[number].get("subPath"), None);
        assert_eq!(mounts[number]["name"], volumes[number]["name"]);
        mounts[number]["mountPath"].as_str().expect("a folder")
    };
    let file = format!("{}/remora.yaml", mounted(0));
    assert_eq!(sidecar["args"], json!(["-c", file]));
    assert_eq!(volumes[0]["configMap"]["name"], map["metadata"]["name"]);
    let text = map["data"]["remora.yaml"].as_str().expect("a file");
    let tls = &yaml::documents(text)[0]["sidecar"]["web"]["tls"];
    let secret = mounted(1);
    assert_eq!(
        *tls,
        json!({"cert": format!("{secret}/tls.crt"), "key": format!("{secret}/tls.key")})
    );
    assert_eq!(volumes[1]["secret"]["secretName"], "web-tls");
    // Its group alone may read the key, and that is the pod's.
    assert!(text_of("deploy/sidecar.yaml").contains("defaultMode: 0440"));
    assert_eq!(
        spec["securityContext"]["fsGroup"],
        spec["securityContext"]["runAsGroup"]
    );
}

#[test]
fn nothing_in_it_has_privileges() {
    let [_, _, pod] = documents();
    let spec = &pod["spec"];
    let all = &spec["securityContext"];
    assert_eq!(all["runAsNonRoot"], true);
    assert_eq!(all["runAsUser"], 65532);
    assert_eq!(all["seccompProfile"]["type"], "RuntimeDefault");
    for container in [&spec["initContainers"][0], &spec["containers"][0]] {
        let own = json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(container["securityContext"], own, "{}", container["name"]);
    }
}

#[test]
fn the_page_tells_the_defaults_as_they_are() {
    promise(async {
        let page = text_of("docs/sidecar.md");
        let (_, block) = page.split_once("```yaml\n").expect("a file");
        let (file, _) = block.split_once("```").expect("its end");
        let folder = tempfile::tempdir().expect("a folder");
        let smallest = "sidecar: {web: {listen: :8443, to: 'http://localhost:8080'}}";
        let smallest = effective(folder.path(), smallest).await;
        assert_eq!(effective(folder.path(), file).await, smallest);
    });
}

#[test]
fn the_page_tells_the_defaults_of_certificates_that_are_obtained() {
    promise(async {
        let page = text_of("docs/sidecar.md");
        let (_, section) = page
            .split_once("### Certificates that are obtained")
            .expect("a section");
        let (_, block) = section.split_once("```yaml\n").expect("a file");
        let (block, _) = block.split_once("```").expect("its end");
        let folder = tempfile::tempdir().expect("a folder");
        let entry = "sidecar:\n  web:\n    listen: :8443\n    to: http://localhost:8080\n";
        let here = folder.path().display().to_string();
        let lines = block.lines().filter(|line| !line.contains("ca:"));
        let block: String = lines.map(|line| format!("{line}\n")).collect();
        let written = format!("{entry}{block}").replace("/var/lib/remora/acme", &here);
        let least = format!(
            "{entry}    tls: {{acme: {{names: [shop.example.com, www.example.com], folder: '{here}', \
             terms: agreed, contact: ['mailto:ops@example.com']}}}}\n"
        );
        let least = effective(folder.path(), &least).await;
        assert_eq!(effective(folder.path(), &written).await, least);
    });
}
