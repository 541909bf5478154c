//! Paths of archive members that can't lead anywhere but down.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use crate::policy::Refusal;

/// Components of a path at most. Each one is an open directory while below it is written.
pub const DEPTH_LIMIT: usize = 256;

/// Bytes of a component at most: `NAME_MAX` of Linux.
pub const COMPONENT_LIMIT: usize = 255;

/// A path below some directory: components that are names, never `..`, none of them empty. No component at all
/// is the directory itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemberPath(Vec<Vec<u8>>);

impl MemberPath {
    /// Reads the name of an archive entry. `.` components and repeated slashes are dropped.
    pub fn parse(name: &[u8]) -> Result<Self, Refusal> {
        if name.first() == Some(&b'/') {
            return Err(Refusal::Absolute);
        }
        if name.is_empty() || name.contains(&0) {
            return Err(Refusal::NoName);
        }
        let mut components = Vec::new();
        for component in name.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(Refusal::Upwards),
                _ if component.len() > COMPONENT_LIMIT => return Err(Refusal::LongComponent),
                _ if components.len() == DEPTH_LIMIT => return Err(Refusal::TooDeep),
                _ => components.push(component.to_vec()),
            }
        }
        Ok(Self(components))
    }

    /// What is left of it below `root`, if it is below or the same.
    pub fn below(self, root: Option<&[u8]>) -> Option<Self> {
        let Some(root) = root else { return Some(self) };
        let mut components = self.0.into_iter();
        (components.next()? == root).then(|| Self(components.collect()))
    }

    /// Its components.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &OsStr> + ExactSizeIterator {
        self.0.iter().map(|component| OsStr::from_bytes(component))
    }

    /// The path of the directory it is in, and its name there; nothing for the directory itself.
    pub fn split_last(&self) -> Option<(Self, &OsStr)> {
        let (name, parent) = self.0.split_last()?;
        Some((Self(parent.to_vec()), OsStr::from_bytes(name)))
    }
}

impl fmt::Display for MemberPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display(&self.0.join(&b'/')))
    }
}

/// A name for people: text as it is, everything else replaced.
pub(crate) fn display(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &MemberPath) -> Vec<&str> {
        path.components()
            .map(|component| component.to_str().unwrap())
            .collect()
    }

    #[test]
    fn a_path_is_its_names() {
        assert_eq!(
            names(&MemberPath::parse(b"./a//b/./c/").unwrap()),
            ["a", "b", "c"]
        );
        assert_eq!(names(&MemberPath::parse(b"./").unwrap()), [""; 0]);
        assert_eq!(names(&MemberPath::parse(b"...").unwrap()), ["..."]);
        let path = MemberPath::parse(b"a/b").unwrap();
        assert_eq!(
            path.clone().below(Some(b"a")),
            Some(MemberPath::parse(b"b").unwrap())
        );
        assert_eq!(path.clone().below(Some(b"b")), None);
        assert_eq!(path.clone().below(None), Some(path));
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let deep = |depth: usize| vec!["d"; depth].join("/").into_bytes();
        assert!(MemberPath::parse(&deep(DEPTH_LIMIT)).is_ok());
        assert!(MemberPath::parse(&[b'x'; COMPONENT_LIMIT]).is_ok());
        for (name, refusal) in [
            (b"/etc/passwd".to_vec(), Refusal::Absolute),
            (b"..".to_vec(), Refusal::Upwards),
            (b"a/../../b".to_vec(), Refusal::Upwards),
            (b"a/..".to_vec(), Refusal::Upwards),
            (b"".to_vec(), Refusal::NoName),
            (b"a\0b".to_vec(), Refusal::NoName),
            (vec![b'x'; COMPONENT_LIMIT + 1], Refusal::LongComponent),
            (deep(DEPTH_LIMIT + 1), Refusal::TooDeep),
        ] {
            assert_eq!(MemberPath::parse(&name), Err(refusal), "{}", name.escape_ascii());
        }
    }
}
