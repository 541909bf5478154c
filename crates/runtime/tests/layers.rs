//! Modules import one way: from those below them in the list of layers that the crate's documentation shows.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the top to the bottom, as the documentation of `lib.rs` lists them.
fn layers(lib: &str) -> Vec<String> {
    let list = lib.split("//! # Layers").nth(1).unwrap();
    let list = list.split("```").nth(1).unwrap();
    list.lines()
        .filter_map(|line| line.strip_prefix("//!   ")?.split_whitespace().next())
        .map(|file| {
            file.trim_end_matches('/')
                .trim_end_matches(".rs")
                .trim_end_matches('/')
                .to_owned()
        })
        .collect()
}

/// The modules that `lib.rs` declares.
fn declared(lib: &str) -> BTreeSet<String> {
    lib.lines()
        .filter_map(|line| {
            line.trim_start_matches("pub ")
                .strip_prefix("mod ")?
                .strip_suffix(';')
        })
        .map(str::to_owned)
        .collect()
}

/// All source files below a directory, those of tests left out.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "tests" || name == "tests.rs" || name == "lib.rs" {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// What a source names by `crate::`, comments and tests left out.
fn named(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    code.lines()
        .map(|line| line.split("//").next().unwrap())
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            rest[..end.unwrap_or(rest.len())].to_owned()
        })
        .collect()
}

/// The imports of the modules in `files` that don't lead down, each as `module -> module`.
fn arrows_up(layers: &[String], files: &[(String, String)]) -> BTreeSet<String> {
    let level = |module: &str| layers.iter().position(|layer| layer == module);
    let mut found = BTreeSet::new();
    for (module, source) in files {
        for other in named(source) {
            let leads_down =
                other == *module || level(&other).is_some_and(|below| Some(below) > level(module));
            if !leads_down {
                found.insert(format!("{module} -> {other}"));
            }
        }
    }
    found
}

fn module_of(file: &Path, root: &Path) -> String {
    let inside = file.strip_prefix(root).unwrap();
    let first = inside.iter().next().unwrap().to_str().unwrap();
    // What stands in for a module where its feature is off is that module.
    first.trim_end_matches(".rs").trim_start_matches("no_").to_owned()
}

#[test]
fn modules_import_from_those_below_them_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(root.join("lib.rs")).unwrap();
    let layers = layers(&lib);
    let listed: BTreeSet<String> = layers.iter().cloned().collect();
    assert_eq!(
        listed,
        declared(&lib),
        "the list of layers is not that of the modules"
    );
    let files: Vec<(String, String)> = sources(&root)
        .into_iter()
        .map(|file| (module_of(&file, &root), fs::read_to_string(&file).unwrap()))
        .collect();
    assert!(files.len() > 30, "{}", files.len());
    let up = arrows_up(&layers, &files);
    assert_eq!(up, BTreeSet::new());
}

#[test]
fn an_import_from_above_is_seen() {
    let layers = ["top".to_owned(), "bottom".to_owned()];
    let up = |module: &str, source: &str| arrows_up(&layers, &[(module.to_owned(), source.to_owned())]);
    assert!(up("top", "use crate::bottom::Thing;").is_empty());
    assert!(up("bottom", "use crate::bottom::inner;").is_empty());
    assert!(
        up(
            "bottom",
            "//! [`crate::top`]\n#[cfg(test)]\nuse crate::top::Thing;"
        )
        .is_empty()
    );
    for source in [
        "use crate::top::Thing;",
        "fn f() { crate::top::go() }",
        "use crate::Thing;",
    ] {
        assert_eq!(up("bottom", source).len(), 1, "{source}");
    }
}
