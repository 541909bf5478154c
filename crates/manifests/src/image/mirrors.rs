//! Registries that stand in for others: where an image is pulled from, as against what it is called.

use std::collections::BTreeMap;

use super::{ImageError, ImageRef, is_registry_like};

/// The registry of an image that names none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// An older name of [`DEFAULT_REGISTRY`], which references still carry.
const OLD_DEFAULT_REGISTRY: &str = "index.docker.io";
/// Where the default registry keeps the images whose path has one part only.
const OFFICIAL_IMAGES: &str = "library";

impl ImageRef {
    /// The whole name: `python:3` is `docker.io/library/python:3`.
    pub fn full_name(&self) -> String {
        normalised(&self.0)
    }

    /// The reference by which the image is pulled where `mirrors` stand in for registries, or for parts of one:
    /// `docker.io` = `mirror.example/hub` makes `python:3` to `mirror.example/hub/library/python:3`. Of several
    /// that fit, the longest is taken. `None` where none fits.
    pub fn mirrored(&self, mirrors: &BTreeMap<String, String>) -> Option<Result<Self, ImageError>> {
        let full = normalised(&self.0);
        let (source, mirror) = mirrors
            .iter()
            .map(|(source, mirror)| (prefix(source), mirror))
            .filter(|(source, _)| is_below(&full, source))
            .max_by_key(|(source, _)| source.len())?;
        let rest = &full[source.len()..];
        Some(format!("{}{rest}", mirror.trim_end_matches('/')).parse())
    }
}

/// The whole name: with its registry, and with `library/` where the default registry needs it.
fn normalised(image: &str) -> String {
    let (registry, path) = match image.split_once('/') {
        Some((first, path)) if is_registry_like(first) => (first, path),
        _ => (DEFAULT_REGISTRY, image),
    };
    let registry = if registry == OLD_DEFAULT_REGISTRY {
        DEFAULT_REGISTRY
    } else {
        registry
    };
    if registry == DEFAULT_REGISTRY && !path.contains('/') {
        format!("{registry}/{OFFICIAL_IMAGES}/{path}")
    } else {
        format!("{registry}/{path}")
    }
}

/// What the names begin with that a mirror stands in for.
fn prefix(source: &str) -> String {
    let source = source.trim_end_matches('/');
    match source.strip_prefix(OLD_DEFAULT_REGISTRY) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{DEFAULT_REGISTRY}{rest}"),
        _ => source.to_owned(),
    }
}

/// Whether `name` is `source` itself or something below it, not just a name that begins with the same letters.
fn is_below(name: &str, source: &str) -> bool {
    !source.is_empty()
        && name
            .strip_prefix(source)
            .is_some_and(|rest| rest.starts_with(['/', ':', '@']))
        // A port is not a tag: `registry` stands not for `registry:5000`.
        && (source.contains('/') || name[source.len()..].starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrored(image: &str, mirrors: &[(&str, &str)]) -> Option<String> {
        let mirrors = mirrors
            .iter()
            .map(|(source, mirror)| ((*source).to_owned(), (*mirror).to_owned()))
            .collect();
        let image: ImageRef = image.parse().unwrap();
        image.mirrored(&mirrors).map(|image| image.unwrap().to_string())
    }

    #[test]
    fn the_default_registry_and_its_official_images() {
        let mirrors = [("docker.io", "mirror.example/hub")];
        for (image, pulled) in [
            ("python:3", "mirror.example/hub/library/python:3"),
            ("library/python:3", "mirror.example/hub/library/python:3"),
            ("docker.io/python", "mirror.example/hub/library/python"),
            ("index.docker.io/a/b:1", "mirror.example/hub/a/b:1"),
            ("a/b", "mirror.example/hub/a/b"),
        ] {
            assert_eq!(mirrored(image, &mirrors).as_deref(), Some(pulled), "{image}");
        }
        let digest = format!("a/b@sha256:{}", "0".repeat(64));
        assert_eq!(
            mirrored(&digest, &mirrors),
            Some(format!("mirror.example/hub/{digest}"))
        );
        for other in [
            "ghcr.io/a/b",
            "localhost/a",
            "docker.io.example/a",
            "docker.io:5000/a",
        ] {
            assert_eq!(mirrored(other, &mirrors), None, "{other}");
        }
    }

    #[test]
    fn the_longest_match_is_taken_at_whole_parts() {
        let mirrors = [
            ("ghcr.io", "one.example"),
            ("ghcr.io/all-hands-ai", "two.example/oh/"),
            ("ghcr.io/all-hands-ai/runtime", "three.example/r"),
            ("index.docker.io/library", "four.example"),
            ("registry:5000", "five.example:6000"),
        ];
        for (image, pulled) in [
            ("ghcr.io/a/b:1", Some("one.example/a/b:1")),
            ("ghcr.io/all-hands-ai/x:1", Some("two.example/oh/x:1")),
            (
                "ghcr.io/all-hands-ai-2/x:1",
                Some("one.example/all-hands-ai-2/x:1"),
            ),
            ("ghcr.io/all-hands-ai/runtime:1", Some("three.example/r:1")),
            (
                "ghcr.io/all-hands-ai/runtime-2:1",
                Some("two.example/oh/runtime-2:1"),
            ),
            ("debian", Some("four.example/debian")),
            ("bitnami/debian", None),
            ("registry:5000/a", Some("five.example:6000/a")),
            ("registry.example/a", None),
        ] {
            assert_eq!(mirrored(image, &mirrors).as_deref(), pulled, "{image}");
        }
    }

    #[test]
    fn a_mirror_that_makes_no_reference_is_an_error() {
        let mirrors = BTreeMap::from([("docker.io".to_owned(), "https://mirror".to_owned())]);
        let image: ImageRef = "a".parse().unwrap();
        assert!(matches!(
            image.mirrored(&mirrors),
            Some(Err(ImageError::Scheme(_)))
        ));
    }
}
