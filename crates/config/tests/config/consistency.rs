//! Settings that must fit one another: each contradiction names both, with their places.

use crate::support::load;
use podbay_config::{Fault, Warning};

#[test]
fn contradictions() {
    for (text, expected) in [
        (
            "[kubernetes]\nautomount_service_account_token = true",
            "config.toml:2:35: kubernetes.automount_service_account_token = true does not go with \
             kubernetes.service_account not set (default): name the account whose token the sandbox is to have",
        ),
        (
            "[kubernetes]\nworkspace_host_path = '/a'",
            "config.toml:2:23: kubernetes.workspace_host_path = \"/a\" does not go with kubernetes.workspace_volume = \
             \"auto\" (default): a directory of the node is used with workspace_volume = \"host_path\" alone",
        ),
        (
            "[kubernetes]\nworkspace_volume = 'host_path'",
            "config.toml:2:20: kubernetes.workspace_volume = \"host_path\" does not go with \
             kubernetes.workspace_host_path not set (default): name the directory of the node",
        ),
        (
            "[kubernetes]\npvc_existing_claim = 'a'\nworkspace_volume = 'empty_dir'",
            "kubernetes.pvc_existing_claim = \"a\" does not go with kubernetes.workspace_volume = \"empty_dir\" (",
        ),
        (
            "[kubernetes]\npvc_snapshot = 'a'\nworkspace_volume = 'empty_dir'",
            "kubernetes.pvc_snapshot = \"a\" does not go with kubernetes.workspace_volume = \"empty_dir\" (",
        ),
        (
            "[kubernetes]\npvc_snapshot = 'a'\npvc_existing_claim = 'b'",
            "kubernetes.pvc_snapshot = \"a\" does not go with kubernetes.pvc_existing_claim = \"b\" (",
        ),
        (
            "[kubernetes]\ncache_claim = 'a'\ncache_host_path = '/b'",
            "kubernetes.cache_host_path = \"/b\" does not go with kubernetes.cache_claim = \"a\" (",
        ),
        (
            "[kubernetes]\nruntime_image_tag = 'a'",
            "kubernetes.runtime_image_tag = \"a\" does not go with kubernetes.runtime_image_repo not set (default)",
        ),
        (
            "[kubernetes]\nmount_source = true",
            "kubernetes.mount_source = true does not go with kubernetes.source_host_path not set (default): exactly",
        ),
        (
            "[kubernetes]\nsource_host_path = '/a'",
            "kubernetes.source_host_path = \"/a\" does not go with kubernetes.mount_source = false (default)",
        ),
        (
            "[kubernetes]\nsource_claim = 'a'",
            "kubernetes.source_claim = \"a\" does not go with kubernetes.mount_source = false (default)",
        ),
        (
            "[kubernetes]\nsource_config_map = 'a'",
            "kubernetes.source_config_map = \"a\" does not go with kubernetes.mount_source = false (default)",
        ),
        (
            "[kubernetes]\nmount_source = true\nsource_host_path = '/a'\nsource_claim = 'b'",
            "kubernetes.source_claim = \"b\" does not go with kubernetes.source_host_path = \"/a\" (",
        ),
        (
            "[kubernetes]\nmount_source = true\nsource_host_path = '/a'\nsource_config_map = 'b'",
            "kubernetes.source_config_map = \"b\" does not go with kubernetes.source_host_path = \"/a\" (",
        ),
        (
            "[kubernetes]\nmount_source = true\nsource_claim = 'a'\nsource_config_map = 'b'",
            "kubernetes.source_config_map = \"b\" does not go with kubernetes.source_claim = \"a\" (",
        ),
        (
            "[kubernetes]\nprivileged = true\nprofile = 'baseline'",
            "kubernetes.privileged = true does not go with kubernetes.profile = \"baseline\" (",
        ),
        (
            "[kubernetes]\nhost_network = true",
            "kubernetes.host_network = true does not go with kubernetes.profile not set (default): the network",
        ),
        (
            "[kubernetes]\nprofile = 'baseline'\n[sandbox]\nuse_host_network = true",
            "sandbox.use_host_network = true does not go with kubernetes.profile = \"baseline\" (",
        ),
        (
            "[kubernetes]\nuid_from_cluster = true\nrun_as_user = 1000",
            "kubernetes.run_as_user = 1000 does not go with kubernetes.uid_from_cluster = true (",
        ),
        (
            "[kubernetes]\nuid_from_cluster = true\nfs_group = 1000",
            "kubernetes.fs_group = 1000 does not go with kubernetes.uid_from_cluster = true (",
        ),
    ] {
        let error = load(text, &[]).expect_err(text);
        let [
            fault @ Fault::Contradiction {
                place, other_place, ..
            },
        ] = error.faults()
        else {
            panic!("{text}: {error}")
        };
        let message = fault.to_string();
        assert!(message.contains(expected), "{message}");
        assert!(place.line.is_some() && place.column.is_some(), "{message}");
        assert!(message.contains(&format!("({other_place})")), "{message}");
    }
}

#[test]
fn an_agent_out_of_an_image_needs_the_image() {
    for delivery in ["image_volume", "init_container"] {
        let text = format!("[agent]\ndelivery = '{delivery}'");
        let error = load(&text, &[]).expect_err(&text);
        let [fault @ Fault::Contradiction { .. }] = error.faults() else {
            panic!("{error}")
        };
        let expected =
            format!("agent.delivery = \"{delivery}\" does not go with agent.image not set (default): name");
        assert!(fault.to_string().contains(&expected), "{fault}");
        assert!(load(&format!("{text}\nimage = 'a'"), &[]).is_ok());
    }
}

#[test]
fn gpus_are_counted_in_one_place() {
    let text = "[kubernetes]\nextended_resources = { 'nvidia.com/gpu' = 2 }\n[sandbox]\nenable_gpu = true";
    let error = load(text, &[]).expect_err(text);
    let [fault] = error.faults() else {
        panic!("{error}")
    };
    let expected = "kubernetes.extended_resources = { \"nvidia.com/gpu\" = 2 } does not go with sandbox.enable_gpu = true (";
    assert!(fault.to_string().contains(expected), "{fault}");
    let other = text.replace("[sandbox]", "gpu_resource_name = 'amd.com/gpu'\n[sandbox]");
    assert!(load(&other, &[]).is_ok());
}

#[test]
fn what_goes_together() {
    for text in [
        "[kubernetes]\nprivileged = true\nprofile = 'privileged'",
        "[kubernetes]\nprivileged = true\nhost_network = true",
        "[kubernetes]\nprofile = 'privileged'\nhost_network = true\n[sandbox]\nuse_host_network = true",
        "[kubernetes]\nworkspace_volume = 'pvc'\npvc_existing_claim = 'a'",
        "[kubernetes]\ngateway = 'public'\ningress_tls_secret = 'tls'\ningress_annotations = { 'a/b' = 'c' }",
        "[kubernetes]\nextended_resources = { 'nvidia.com/gpu' = 1 }",
        "[kubernetes]\nextended_resources = { 'a.example/fpga' = 1 }\n[sandbox]\nenable_gpu = true",
        "[kubernetes]\npvc_snapshot = 'a'",
        "[kubernetes]\nruntime_image_repo = 'a'",
        "[kubernetes]\nrun_as_user = 1\nrun_as_group = 1\nfs_group = 1",
        "[kubernetes]\nuid_from_cluster = true\nsupplemental_groups = [1]",
    ] {
        let config = load(text, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.warnings(), [], "{text}");
    }
}

#[test]
fn what_is_wrong_by_itself_is_not_judged_with_others() {
    for text in [
        "[kubernetes]\nmount_source = true\nsource_claim = ' '",
        "[kubernetes]\nprivileged = true\nprofile = 'base'",
        "[kubernetes]\nhost_network = true\nprivileged = 'maybe'",
    ] {
        let error = load(text, &[]).expect_err(text);
        assert!(
            matches!(error.faults(), [Fault::InvalidValue { .. }]),
            "{text}: {error}"
        );
    }
}

#[test]
fn what_has_no_effect_as_things_stand_is_told() {
    for (text, expected) in [
        (
            "[kubernetes]\njob_ttl_seconds_after_finished = 60",
            "config.toml:2:34: kubernetes.job_ttl_seconds_after_finished has no effect with kubernetes.workload = \
             \"pod\" (default): the cluster removes Jobs alone after a time",
        ),
        (
            "[kubernetes]\nca_bundle_key = 'a'",
            "kubernetes.ca_bundle_key has no effect with kubernetes.ca_bundle_config_map not set (default)",
        ),
        (
            "[kubernetes]\nnetwork = 'none'\nnetwork_allow = ['10.0.0.0/8']",
            "kubernetes.network_allow has no effect with kubernetes.network = \"none\" (",
        ),
        (
            "[kubernetes]\nnetwork = 'open'\nnetwork_deny = ['10.0.0.0/8']",
            "kubernetes.network_deny has no effect with kubernetes.network = \"open\" (",
        ),
        (
            "[kubernetes]\ngateway = 'public'\ningress_class = 'nginx'",
            "kubernetes.ingress_class has no effect with kubernetes.gateway = \"public\" (",
        ),
        (
            "[kubernetes]\ningress = false\ningress_domain = 'a.example'",
            "kubernetes.ingress_domain has no effect with kubernetes.ingress = false (",
        ),
        (
            "[kubernetes]\ningress = false\ngateway = 'public'",
            "kubernetes.gateway has no effect with kubernetes.ingress = false (",
        ),
        (
            "[sandbox]\ncuda_visible_devices = '0'",
            "sandbox.cuda_visible_devices has no effect with sandbox.enable_gpu = false (default)",
        ),
        (
            "[agent]\ndelivery = 'upload'\nimage = 'a'",
            "agent.image has no effect with agent.delivery = \"upload\" (",
        ),
        (
            "[agent]\ndelivery = 'none'\nbinary = '/a'",
            "agent.binary has no effect with agent.delivery = \"none\" (",
        ),
        (
            "[agent]\nimage = 'a'\nbinary = '/a'",
            "agent.binary has no effect with agent.image = \"a\" (",
        ),
    ] {
        let config = load(text, &[]).unwrap_or_else(|error| panic!("{error}"));
        let [warning @ Warning::Idle { .. }] = config.warnings() else {
            panic!("{text}: {:?}", config.warnings())
        };
        assert!(warning.to_string().contains(expected), "{warning}");
    }
}

#[test]
fn a_certificate_comes_with_its_key() {
    for (given, missing) in [
        ("tls_cert_file", "tls_private_key_file"),
        ("tls_private_key_file", "tls_cert_file"),
    ] {
        let file = format!("[serve]\n{given} = '/a'");
        let error = load(&file, &[]).unwrap_err();
        let [
            Fault::Alone {
                key, missing: told, ..
            },
        ] = error.faults()
        else {
            panic!("{error}")
        };
        assert_eq!(
            (*key, *told),
            (&*format!("serve.{given}"), &*format!("serve.{missing}"))
        );
    }
}
