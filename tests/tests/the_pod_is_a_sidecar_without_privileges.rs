//! `deploy/pod.yaml` has the ambassador as a native sidecar, probed, bounded and without privileges.

use remora_tests::ambassador::run_in;
use remora_tests::certificates::place;
use remora_tests::promise::promise;
use remora_tests::sources::workspace;
use remora_tests::yaml;
use serde_json::{Value, json};

/// The `ConfigMap` and the pod.
fn documents() -> [Value; 2] {
    let file = workspace().join("deploy/pod.yaml");
    let text = std::fs::read_to_string(file).expect("the pod");
    let documents: [Value; 2] = yaml::documents(&text).try_into().expect("two documents");
    let kinds = documents.each_ref().map(|document| &document["kind"]);
    assert_eq!(kinds, ["ConfigMap", "Pod"]);
    documents
}

#[test]
fn its_configuration_checks_clean_and_lets_the_kubelet_probe() {
    promise(async {
        let [map, pod] = documents();
        let folder = tempfile::tempdir().expect("a folder");
        let text = map["data"]["remora.yaml"].as_str().expect("a file");
        place(folder.path(), "remora.yaml", text);
        let output = run_in(folder.path(), &["check", "-c", "remora.yaml"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        let admin = yaml::documents(text)[0]["admin"].clone();
        let port = &pod["spec"]["initContainers"][0]["ports"][0]["containerPort"];
        assert_eq!(admin, format!("0.0.0.0:{port}"));
        let scraped = &pod["metadata"]["annotations"]["prometheus.io/port"];
        assert_eq!(*scraped, port.to_string());
    });
}

#[test]
fn the_sidecar_is_native_probed_and_bounded() {
    let [map, pod] = documents();
    let sidecar = &pod["spec"]["initContainers"][0];
    assert_eq!(sidecar["restartPolicy"], "Always");
    let manifest = std::fs::read_to_string(workspace().join("Cargo.toml")).expect("a manifest");
    let image = sidecar["image"].as_str().expect("an image");
    let version = image.strip_prefix("remora/ambassador:").expect("our image");
    assert!(manifest.contains(&format!("version = \"{version}\"")));
    for (probe, path) in [
        ("startupProbe", "/readyz"),
        ("readinessProbe", "/readyz"),
        ("livenessProbe", "/livez"),
    ] {
        let asked = &sidecar[probe]["httpGet"];
        assert_eq!(*asked, json!({"path": path, "port": "admin"}), "{probe}");
    }
    assert_eq!(sidecar["ports"][0]["name"], "admin");
    for bound in [
        "/requests/cpu",
        "/requests/memory",
        "/limits/cpu",
        "/limits/memory",
    ] {
        let value = sidecar["resources"].pointer(bound);
        assert!(value.is_some_and(Value::is_string), "{bound}");
    }
    // Mounted as a folder: a file of its own would not follow the ConfigMap.
    let mount = &sidecar["volumeMounts"][0];
    assert_eq!(mount.get("subPath"), None);
    let folder = mount["mountPath"].as_str().expect("a folder");
    assert_eq!(
        sidecar["args"],
        json!(["-c", format!("{folder}/remora.yaml")])
    );
    let volume = &pod["spec"]["volumes"][0];
    assert_eq!(volume["name"], mount["name"]);
    assert_eq!(volume["configMap"]["name"], map["metadata"]["name"]);
}

#[test]
fn nothing_in_it_has_privileges() {
    let [_, pod] = documents();
    let spec = &pod["spec"];
    let all = &spec["securityContext"];
    assert_eq!(all["runAsNonRoot"], true);
    assert_eq!(all["runAsUser"], 65532);
    assert_eq!(all["seccompProfile"]["type"], "RuntimeDefault");
    let containers = ["initContainers", "containers"].map(|kind| spec[kind].as_array());
    for container in containers.into_iter().flatten().flatten() {
        let own = json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(container["securityContext"], own, "{}", container["name"]);
    }
}
