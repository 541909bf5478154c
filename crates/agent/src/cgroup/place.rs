//! Where this program may make cgroups of version 2: below its own one, if that has no limits.

use std::path::{Path, PathBuf};

/// The directory of this program's cgroup, from the texts of `/proc/self/mountinfo` and `/proc/self/cgroup` (proc(5)).
pub(super) fn own_directory(mountinfo: &str, cgroup: &str) -> Option<PathBuf> {
    let path = Path::new(cgroup.lines().find_map(|line| line.strip_prefix("0::"))?);
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        filesystem.starts_with("cgroup2 ").then_some(())?;
        // id, parent, device, the root within the filesystem, where it is mounted, options.
        let mut fields = mount.split(' ').skip(3);
        let (root, point, options) = (fields.next()?, fields.next()?, fields.next()?);
        options.split(',').any(|option| option == "rw").then_some(())?;
        // Of names with spaces only a container runtime's own imagination would make one.
        Some(Path::new(point).join(path.strip_prefix(root).ok()?))
    })
}

/// Whether a cgroup has a limit of its own, from the texts of its `memory.max` and `cpu.max`. Programs that ask how much they may
/// use (Java's, Go's and others' runtimes) look in the cgroup that they are in: one below would hide the limit from them.
pub(super) fn is_limited(memory_max: Option<&str>, cpu_max: Option<&str>) -> bool {
    [memory_max, cpu_max]
        .into_iter()
        .flatten()
        .any(|text| !text.trim_start().starts_with("max"))
}

/// What a cgroup is called: by the process that made it, and a number.
pub(super) fn name(maker: u32, number: u64) -> String {
    format!("{}{number}", prefix(maker))
}

/// What the names of all cgroups begin with that a process makes.
pub(super) fn prefix(maker: u32) -> String {
    format!("podbay-{maker}-")
}

/// Which process made the cgroup of that name; none if it is not one of [`name`].
pub(super) fn maker(name: &str) -> Option<u32> {
    let (maker, number) = name.strip_prefix("podbay-")?.split_once('-')?;
    number.parse::<u64>().ok()?;
    maker.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_below_the_mount() {
        const HYBRID: &str = "31 20 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime shared:16 - cgroup cgroup rw,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:17 - cgroup2 cgroup2 rw\n";
        for (mountinfo, cgroup, expected) in [
            (HYBRID, "1:cpu:/a\n0::/b/c\n", Some("/sys/fs/cgroup/unified/b/c")),
            (HYBRID, "0::/\n", Some("/sys/fs/cgroup/unified")),
            (HYBRID, "1:cpu:/a\n", None),
            // Read-only, as containers have it.
            (
                "9 1 0:3 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
                "0::/\n",
                None,
            ),
            // A part of the tree is mounted.
            (
                "9 1 0:3 /pod /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
                "0::/pod/x\n",
                Some("/sys/fs/cgroup/x"),
            ),
            // Another part than this program is in.
            (
                "9 1 0:3 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
                "0::/\n",
                None,
            ),
            (
                "9 1 0:3 /pod /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
                "0::/podium\n",
                None,
            ),
            ("", "0::/\n", None),
        ] {
            assert_eq!(
                own_directory(mountinfo, cgroup),
                expected.map(PathBuf::from),
                "{mountinfo} {cgroup}"
            );
        }
    }

    #[test]
    fn a_limit_is_not_hidden() {
        for (memory, cpu, limited) in [
            (None, None, false),
            (Some("max\n"), Some("max 100000\n"), false),
            (Some("1073741824\n"), Some("max 100000\n"), true),
            (Some("max\n"), Some("50000 100000\n"), true),
            (None, Some("50000 100000\n"), true),
        ] {
            assert_eq!(is_limited(memory, cpu), limited, "{memory:?} {cpu:?}");
        }
    }

    #[test]
    fn a_name_tells_who_made_it() {
        assert_eq!(maker(&name(17, 4)), Some(17));
        for other in [
            "podbay",
            "podbay-",
            "podbay-1",
            "podbay-x-1",
            "podbay-1-x",
            "user.slice",
        ] {
            assert_eq!(maker(other), None, "{other}");
        }
    }
}
