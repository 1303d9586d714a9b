//! Imports between crates go downward only: docs/architecture.md draws them.

use std::collections::BTreeSet;
use std::fs;

/// Each crate with those of ours that it may depend on.
const ARROWS: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("kernels", &[]),
    ("graph", &["model"]),
    ("engine", &["model", "graph", "kernels"]),
    ("gpu", &["model", "graph"]),
    ("vision", &["model", "engine"]),
    ("onnx", &["model"]),
    ("tract", &["model", "onnx", "engine", "vision"]),
    ("decode", &["model"]),
    ("maker", &["model", "engine", "vision"]),
    ("bench", &["model", "kernels", "engine"]),
];

/// The crates of ours among the dependencies of a manifest that go into what is built.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && !section.contains("dev-")
            && let Some(rest) = line.strip_prefix("achado-")
        {
            let name = rest.split(|c: char| !c.is_ascii_alphanumeric()).next();
            found.extend(name.map(str::to_owned));
        }
    }
    found
}

#[test]
fn crates_import_downward_only() {
    let root = crate::shell::root().join("crates");
    let mut folders: Vec<String> = (fs::read_dir(&root).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| root.join(name).join("Cargo.toml").is_file())
        .collect();
    folders.sort();
    let mut known: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    assert_eq!(folders, known, "each crate has a row in ARROWS");
    for (name, allowed) in ARROWS {
        let manifest = fs::read_to_string(root.join(name).join("Cargo.toml")).unwrap();
        for dependency in dependencies(&manifest) {
            assert!(allowed.contains(&&*dependency), "{name} must not import {dependency}");
        }
    }
}

#[test]
fn dependencies_of_tests_do_not_count() {
    let manifest = "[dependencies]\nachado-model.workspace = true\n\
                    achado-engine = { workspace = true }\n\
                    [dev-dependencies]\nachado-onnx.workspace = true\n";
    let found = dependencies(manifest);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["engine", "model"]);
}
