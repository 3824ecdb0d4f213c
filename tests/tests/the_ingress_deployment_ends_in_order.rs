//! `deploy/ingress.yaml` is a Deployment that drains before it is killed, probed, bounded and without privileges;
//! `docs/ingress.md` tells the defaults as they are.

use std::path::Path;

use remora_tests::certificates::{Authority, place};
use remora_tests::cookbook::{housed, secure};
use remora_tests::promise::promise;
use remora_tests::proxy::{INGRESS, run_in};
use remora_tests::sources::workspace;
use remora_tests::yaml;
use serde_json::{Value, json};

fn text_of(file: &str) -> String {
    std::fs::read_to_string(workspace().join(file)).expect("a file")
}

/// The `ConfigMap`, the Service, the `NetworkPolicy`, the budget and the Deployment.
fn documents() -> [Value; 5] {
    let documents = yaml::documents(&text_of("deploy/ingress.yaml"));
    let documents: [Value; 5] = documents.try_into().expect("five documents");
    let kinds = documents.each_ref().map(|document| &document["kind"]);
    let expected = [
        "ConfigMap",
        "Service",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Deployment",
    ];
    assert_eq!(kinds, expected);
    documents
}

/// The file in the `ConfigMap`.
fn file() -> String {
    let [map, ..] = documents();
    let text = map["data"]["remora.yaml"].as_str();
    text.expect("a file").to_owned()
}

/// What a file means, with every default.
async fn effective(folder: &Path, text: &str) -> String {
    place(folder, "remora.yaml", text);
    let arguments = ["check", "--effective", "-c", "remora.yaml"];
    let output = run_in(INGRESS, folder, &arguments).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn its_file_checks_clean_and_its_drain_ends_before_it_is_killed() {
    promise(async {
        let [.., deployment] = documents();
        let folder = tempfile::tempdir().expect("a folder");
        secure(folder.path(), &Authority::new("nobody"));
        let text = housed(&file(), folder.path());
        let meant = yaml::documents(&effective(folder.path(), &text).await);
        let seconds = |text: &Value| {
            let text = text.as_str().and_then(|text| text.strip_suffix('s'));
            let number = text.and_then(|text| text.parse::<u64>().ok());
            number.expect("seconds")
        };
        let [delay, timeout] = ["delay", "timeout"].map(|key| seconds(&meant[0]["drain"][key]));
        let spec = &deployment["spec"]["template"]["spec"];
        let grace = spec["terminationGracePeriodSeconds"].as_u64();
        assert!(grace > Some(delay + timeout), "{grace:?} {delay} {timeout}");
        let strategy = &deployment["spec"]["strategy"]["rollingUpdate"];
        assert_eq!(*strategy, json!({"maxSurge": 1, "maxUnavailable": 0}));
    });
}

#[test]
fn the_kubelet_and_clients_find_their_ports() {
    let [_, service, network, budget, deployment] = documents();
    let rules = &network["spec"]["ingress"];
    assert_eq!(
        rules[0],
        json!({"ports": [{"port": "plain"}, {"port": "web"}]})
    );
    assert_eq!(rules[1]["ports"], json!([{"port": "admin"}]));
    assert!(rules[1]["from"][0]["namespaceSelector"].is_object());
    let template = &deployment["spec"]["template"];
    let container = &template["spec"]["containers"][0];
    let ports = container["ports"].as_array().expect("ports");
    let port = |name: &str| {
        let named = ports.iter().find(|port| port["name"] == name);
        named.expect("a port of that name")["containerPort"].clone()
    };
    let file = &yaml::documents(&file())[0];
    assert_eq!(file["admin"], format!("0.0.0.0:{}", port("admin")));
    for entry in ["plain", "web"] {
        let listen = &file["ingress"][entry]["listen"];
        assert_eq!(*listen, format!(":{}", port(entry)));
    }
    let scraped = &template["metadata"]["annotations"]["prometheus.io/port"];
    assert_eq!(*scraped, port("admin").to_string());
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/livez")] {
        let asked = &container[probe]["httpGet"];
        assert_eq!(*asked, json!({"path": path, "port": "admin"}), "{probe}");
    }
    let led = service["spec"]["ports"].as_array().expect("ports");
    let led: Vec<_> = led
        .iter()
        .map(|port| (&port["port"], &port["targetPort"]))
        .collect();
    assert_eq!(
        led,
        [(&json!(80), &json!("plain")), (&json!(443), &json!("web"))]
    );
    let labels = &template["metadata"]["labels"];
    assert_eq!(service["spec"]["selector"], *labels);
    assert_eq!(budget["spec"]["selector"]["matchLabels"], *labels);
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], *labels);
}

#[test]
fn it_is_our_image_bounded_and_without_privileges() {
    let [map, .., deployment] = documents();
    let spec = &deployment["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let image = container["image"].as_str().expect("an image");
    let version = image.strip_prefix("remora/ingress:").expect("our image");
    assert!(text_of("Cargo.toml").contains(&format!("version = \"{version}\"")));
    for bound in [
        "/requests/cpu",
        "/requests/memory",
        "/limits/cpu",
        "/limits/memory",
    ] {
        let value = container["resources"].pointer(bound);
        assert!(value.is_some_and(Value::is_string), "{bound}");
    }
    let own = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(container["securityContext"], own);
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    assert_eq!(spec["automountServiceAccountToken"], false);
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    let volumes = spec["volumes"].as_array().expect("volumes");
    let mounted = |number: usize| {
        // As a folder: a file of its own would not follow what is mounted.
        assert_eq!(mounts[number].get("subPath"), None);
        assert_eq!(mounts[number]["name"], volumes[number]["name"]);
        mounts[number]["mountPath"].as_str().expect("a folder")
    };
    let args = json!(["-c", format!("{}/remora.yaml", mounted(0))]);
    assert_eq!(container["args"], args);
    assert_eq!(volumes[0]["configMap"]["name"], map["metadata"]["name"]);
    let tls = &yaml::documents(&file())[0]["ingress"]["web"]["tls"];
    assert_eq!(*tls, json!({"folder": mounted(1)}));
    // Its group alone may read the keys, and that is the pod's.
    assert!(text_of("deploy/ingress.yaml").contains("defaultMode: 0440"));
    let context = &spec["securityContext"];
    assert_eq!(context["fsGroup"], context["runAsGroup"]);
}

#[test]
fn the_page_tells_the_defaults_as_they_are() {
    promise(async {
        let page = text_of("docs/ingress.md");
        let (_, block) = page.split_once("```yaml\n").expect("a file");
        let (file, _) = block.split_once("```").expect("its end");
        let folder = tempfile::tempdir().expect("a folder");
        let smallest =
            "ingress: {web: {listen: :443, routes: {shop.example: 'http://shop.default:8080'}}}";
        let smallest = effective(folder.path(), smallest).await;
        assert_eq!(effective(folder.path(), file).await, smallest);
    });
}

#[test]
fn the_page_names_the_keys_and_defaults_of_what_is_off() {
    promise(async {
        let page = text_of("docs/ingress.md");
        let folder = tempfile::tempdir().expect("a folder");
        secure(folder.path(), &Authority::new("nobody"));
        let text = "ingress: {web: {listen: :443, hsts: {}, compress: {}, \
            tls: {cert: tls/tls.crt, key: tls/tls.key}, \
            routes: {shop.example: 'http://shop.default:8080'}}}";
        let meant = yaml::documents(&effective(folder.path(), text).await);
        for key in ["hsts", "compress"] {
            let line = format!("    {key}: off ");
            let line = page.lines().find(|own| own.starts_with(&line));
            let (_, told) = line
                .expect("its line")
                .split_once("defaults: ")
                .expect("them");
            let told = &yaml::documents(told)[0];
            assert_eq!(*told, meant[0]["ingress"]["web"][key], "{key}");
        }
    });
}
