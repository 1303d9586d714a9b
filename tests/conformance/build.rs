//! Lists the case files, so that they are in the program: a browser has no file system.

use std::path::Path;
use std::{env, fs};

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("cases");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .collect();
    files.sort();
    let entries: String = files
        .iter()
        .map(|path| {
            let operator = path.file_stem().expect("a name").to_string_lossy();
            format!("    ({operator:?}, include_bytes!({path:?})),\n")
        })
        .collect();
    let list = format!("pub(crate) const FILES: &[(&str, &[u8])] = &[\n{entries}];\n");
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("files.rs");
    fs::write(out, list).expect("a list");
}
