//! `deploy/sidecar.yaml` closes the door in before its workload ends, and `docs/sidecar.md` tells the defaults as they are.

use std::path::Path;

use remora_tests::certificates::place;
use remora_tests::promise::promise;
use remora_tests::proxy::{SIDECAR, run_in};
use remora_tests::sources::workspace;
use remora_tests::yaml;
use serde_json::{Value, json};

fn text_of(file: &str) -> String {
    std::fs::read_to_string(workspace().join(file)).expect("a file")
}

/// The `ConfigMap` and the pod.
fn documents() -> [Value; 2] {
    let documents = yaml::documents(&text_of("deploy/sidecar.yaml"));
    documents.try_into().expect("two documents")
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
        let [map, pod] = documents();
        let folder = tempfile::tempdir().expect("a folder");
        let text = map["data"]["remora.yaml"].as_str().expect("a file");
        let meant = yaml::documents(&effective(folder.path(), text).await);
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
fn nothing_in_it_has_privileges() {
    let [_, pod] = documents();
    let spec = &pod["spec"];
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
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
