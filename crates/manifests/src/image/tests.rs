use proptest::prelude::*;

use super::*;

const SHA: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn references_of_all_forms_are_taken() {
    for text in [
        "debian",
        "debian:12",
        "nikolaik/python-nodejs:python3.12-nodejs22",
        "docker.all-hands.dev/all-hands-ai/runtime:0.62-nikolaik",
        "localhost:5000/a",
        "localhost/a/b:t",
        "REGISTRY.example.com:443/a__b/c.d/e---f:V_1.2",
        "192.168.0.1:5000/x",
        "[2001:db8::1]:5000/x",
        "[::1]/x",
        &format!("debian@{SHA}"),
        &format!("ghcr.io/a/b:1@{SHA}"),
        &format!("debian:{}", "t".repeat(128)),
        &format!("a@sha512:{}", "0".repeat(128)),
    ] {
        assert_eq!(text.parse::<ImageRef>().unwrap().as_str(), text);
    }
}

/// What is wrong with `text`, as the name of the error's variant.
fn refusal(text: &str) -> &'static str {
    match text.parse::<ImageRef>().unwrap_err() {
        ImageError::Empty => "empty",
        ImageError::Blank(_) => "blank",
        ImageError::Scheme(_) => "scheme",
        ImageError::Registry { .. } => "registry",
        ImageError::UpperCase { .. } => "upper case",
        ImageError::PathPart { .. } => "path part",
        ImageError::NameTooLong { .. } => "name too long",
        ImageError::ImageId(_) => "image id",
        ImageError::Tag { .. } => "tag",
        ImageError::Digest { .. } => "digest",
    }
}

#[test]
fn other_texts_are_refused_with_what_is_wrong() {
    for (text, wrong) in [
        ("", "empty"),
        (" debian", "blank"),
        ("debian\n", "blank"),
        ("deb ian", "blank"),
        ("https://docker.io/debian", "scheme"),
        ("-a.b/c", "registry"),
        ("a.b:/c", "registry"),
        ("a.b:x/c", "registry"),
        ("a..b/c", "registry"),
        ("[::1/c", "registry"),
        ("[::1]x/c", "registry"),
        ("Debian", "upper case"),
        ("docker.io/Debian", "upper case"),
        ("a//b", "path part"),
        ("a/", "path part"),
        ("/a", "path part"),
        ("docker.io/", "path part"),
        (":12", "path part"),
        ("a___b", "path part"),
        ("a..b", "path part"),
        ("_a", "path part"),
        ("bücher", "path part"),
        ("a@b@sha256:0", "path part"),
        ("debian:", "tag"),
        ("debian:.x", "tag"),
        ("debian:1:2", "tag"),
        ("debian:${TAG}", "tag"),
        ("debian@", "digest"),
        ("debian@sha256:12", "digest"),
        ("debian@0:00000000000000000000000000000000", "digest"),
    ] {
        assert_eq!(refusal(text), wrong, "{text}");
    }
    assert_eq!(refusal(&SHA[7..]), "image id");
    assert_eq!(refusal(&format!("debian:{}", "t".repeat(129))), "tag");
    assert_eq!(refusal(&format!("debian@{}", SHA.to_uppercase())), "digest");
    assert_eq!(refusal(&"a".repeat(256)), "name too long");
}

#[test]
fn messages_name_the_part() {
    assert_eq!(
        "docker.io/Foo:1".parse::<ImageRef>().unwrap_err().to_string(),
        "image \"docker.io/Foo:1\" has upper case in its path \"Foo\": only the registry and the tag may have it"
    );
}

proptest! {
    #[test]
    fn any_text_is_kept_or_refused(text in "\\PC{0,40}|[a-zA-Z0-9/:@._\\[\\]-]{0,40}") {
        if let Ok(image) = text.parse::<ImageRef>() {
            prop_assert_eq!(image.to_string(), text);
        }
    }

    #[test]
    fn well_formed_references_are_taken(
        registry in "([a-z0-9]+\\.[a-z]{2,5}(:[0-9]{1,5})?/)?",
        // No dot in its first part, which would make that a registry.
        path in "[a-z0-9]+([_-][a-z0-9]+)?(/[a-z0-9]+([._-][a-z0-9]+){0,2}){0,2}",
        tag in "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,20})?",
    ) {
        let text = format!("{registry}{path}{tag}");
        prop_assert!(text.parse::<ImageRef>().is_ok(), "{}", text);
    }
}
