//! Where a container's paths are on the host. Nothing is mounted: a container path `/p` stands for `p` in a
//! directory of the pod's own, and only the working directory is moved there. A program that names `/p`
//! itself sees the host's.

use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::Container;

/// The container's working directory, relative to the directory that stands for its root: `workingDir`, else
/// its first volume (what an image would say is not known here), else the root.
pub(crate) fn working_directory(container: &Container) -> PathBuf {
    let first_volume = || Some(container.volume_mounts.as_ref()?.first()?.mount_path.as_str());
    relative(
        container
            .working_dir
            .as_deref()
            .or_else(first_volume)
            .unwrap_or("/"),
    )
}

/// A container path relative to its root. `..` never leads out of it.
fn relative(path: &str) -> PathBuf {
    let mut inside = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::ParentDir => drop(inside.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::VolumeMount;

    use super::*;

    #[test]
    fn paths_stay_inside() {
        for (path, expected) in [
            ("/", ""),
            ("/workspace", "workspace"),
            ("/a/./b//c/", "a/b/c"),
            ("/../../etc", "etc"),
            ("/a/../../b", "b"),
            ("a/b", "a/b"),
        ] {
            assert_eq!(relative(path), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn the_working_directory_is_the_containers_else_its_first_volume() {
        let mount = VolumeMount {
            mount_path: "/data".to_owned(),
            ..VolumeMount::default()
        };
        let mut container = Container::default();
        assert_eq!(working_directory(&container), Path::new(""));
        container.volume_mounts = Some(vec![mount]);
        assert_eq!(working_directory(&container), Path::new("data"));
        container.working_dir = Some("/w/x".to_owned());
        assert_eq!(working_directory(&container), Path::new("w/x"));
    }
}
