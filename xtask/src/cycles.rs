//! Imports between files of different folders of a crate do not go in circles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The crates that are looked at.
const CRATES: [&str; 4] = ["model", "graph", "kernels", "engine"];

/// A module by its path within the crate: the root is empty.
type Module = Vec<String>;

/// The modules of a crate with their texts, without comments and unit tests.
fn modules(folder: &Path, at: &[String], found: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let child: Module = at.iter().cloned().chain([stem.clone()]).collect();
        if path.is_dir() {
            modules(&path, &child, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_root = matches!(&stem[..], "mod" | "lib");
            let text = fs::read_to_string(&path).unwrap();
            found.insert(if is_root { at.to_vec() } else { child }, code(&text));
        }
    }
}

/// A text without comments, visibilities and the unit tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code = lines.collect::<Vec<_>>().join("\n");
    code.replace("pub(super)", "pub").replace("pub(crate)", "pub")
}

/// The paths that a text names, from `crate`, `super` or `self` on, or from a child module on.
fn paths(text: &str, children: &[&str]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    // The paths around open braces: `use crate::{a::{b}, c}`.
    let mut around: Vec<Vec<String>> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let word_len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let used = match next {
            _ if word_len > 0 => {
                path.push(rest[..word_len].to_owned());
                if !rest[word_len..].starts_with("::") {
                    let inner = around.last().cloned().unwrap_or_default();
                    found.push(inner.into_iter().chain(path.drain(..)).collect());
                }
                word_len
            }
            ':' if rest.starts_with("::") => {
                if rest[2..].starts_with('{') {
                    let inner = around.last().cloned().unwrap_or_default();
                    around.push(inner.into_iter().chain(path.drain(..)).collect());
                    3
                } else {
                    2
                }
            }
            '{' => {
                around.push(Vec::new());
                1
            }
            '}' => {
                around.pop();
                1
            }
            other => other.len_utf8(),
        };
        rest = &rest[used..];
    }
    let begins = |path: &Vec<String>| match &path[..] {
        [first, _, ..] => {
            matches!(&first[..], "crate" | "super" | "self") || children.contains(&&first[..])
        }
        [first] => first == "super",
        [] => false,
    };
    found.retain(begins);
    found
}

/// The module that a path named in `from` leads into.
fn target(path: &[String], from: &Module, modules: &BTreeMap<Module, String>) -> Option<Module> {
    let (mut whole, mut steps) = (from.clone(), path);
    match &path[0][..] {
        "crate" => {
            whole.clear();
            steps = &path[1..];
        }
        "self" => steps = &path[1..],
        _ => {
            while steps.first().is_some_and(|step| step == "super") {
                whole.pop();
                steps = &steps[1..];
            }
        }
    }
    whole.extend(steps.iter().cloned());
    while !modules.contains_key(&whole) {
        whole.pop()?;
    }
    // The root only gathers what others have.
    (whole != *from && !whole.is_empty()).then_some(whole)
}

/// The folder that a module's file belongs to: that of its children, where it has some.
fn folder(module: &Module, modules: &BTreeMap<Module, String>) -> Module {
    let has_children =
        modules.keys().any(|other| other.len() > module.len() && other.starts_with(module));
    if has_children { module.clone() } else { module[..module.len().saturating_sub(1)].to_vec() }
}

/// By module: those that it leads to, in any number of steps.
fn reachable(edges: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeMap<Module, BTreeSet<Module>> {
    let from = |start: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start.clone()]);
        while let Some(module) = open.pop() {
            let next = edges[&module].iter().filter(|next| seen.insert((*next).clone()));
            open.extend(next.cloned().collect::<Vec<_>>());
        }
        seen
    };
    edges.keys().map(|module| (module.clone(), from(module))).collect()
}

/// Pairs of modules of different folders that import each other, directly or by way of others.
fn circles(modules: &BTreeMap<Module, String>) -> Vec<String> {
    let edges: BTreeMap<Module, BTreeSet<Module>> = modules
        .iter()
        .map(|(module, text)| {
            let children: Vec<&str> = (modules.keys())
                .filter(|other| other.len() == module.len() + 1 && other.starts_with(module))
                .map(|other| &other[module.len()][..])
                .collect();
            let paths = paths(text, &children);
            let targets = paths.iter().filter_map(|path| target(path, module, modules));
            (module.clone(), targets.collect())
        })
        .collect();
    let reachable = reachable(&edges);
    let mut circles = Vec::new();
    for (module, targets) in &edges {
        for other in targets {
            let is_back = reachable[other].contains(module);
            if is_back && folder(module, modules) != folder(other, modules) {
                circles.push(format!("{} <-> {}", module.join("::"), other.join("::")));
            }
        }
    }
    circles
}

#[test]
fn files_of_different_folders_do_not_import_in_circles() {
    for name in CRATES {
        let mut found = BTreeMap::new();
        modules(&crate::shell::root().join("crates").join(name).join("src"), &[], &mut found);
        let circles = circles(&found);
        assert!(circles.is_empty(), "crates/{name}:\n{}", circles.join("\n"));
    }
}

#[test]
fn a_circle_through_folders_is_found_and_one_within_a_folder_is_not() {
    let module = |path: &str| -> Module {
        path.split("::").filter(|step| !step.is_empty()).map(str::to_owned).collect()
    };
    let crate_of = |files: &[(&str, &str)]| -> BTreeMap<Module, String> {
        files.iter().map(|(path, text)| (module(path), code(text))).collect()
    };
    let within = [("", "mod a; mod b;"), ("a", "use crate::b::B;"), ("b", "use super::a::A;")];
    assert!(circles(&crate_of(&within)).is_empty());
    let files = [
        ("", "mod a; mod b;"),
        ("a", "mod x;\nfn f() { x::f() }"),
        ("a::x", "use crate::{b::{B, C}, d};"),
        ("b", "// crate::a\nuse super::a::x;"),
    ];
    let found = circles(&crate_of(&files));
    assert_eq!(found, ["a::x <-> b", "b <-> a::x"]);
}
