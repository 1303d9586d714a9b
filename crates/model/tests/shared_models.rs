//! Real models, where they are at hand: `ACHADO_SHARED`, or `../shared` beside the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use achado_model::{Bytes, ErrorCode, Model, tflite};

fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("ACHADO_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).map(|p| p.join("shared"));
    named.or(beside).filter(|path| path.join("models").is_dir())
}

fn models(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tflite"))
        .collect();
    paths.sort();
    paths
}

fn summary(model: &Model) -> String {
    let mut operators: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &model.nodes {
        *operators.entry(node.operator.name()).or_default() += 1;
    }
    let ends = |ids: &[achado_model::TensorId]| {
        let ends = ids.iter().map(|&id| {
            let tensor = model.tensor(id);
            format!("{}{:?}", tensor.dtype, tensor.shape)
        });
        ends.collect::<Vec<_>>().join(" ")
    };
    let labels: Vec<usize> = (model.metadata.iter())
        .flat_map(|metadata| &metadata.outputs)
        .flat_map(|output| &output.labels)
        .map(|labels| labels.names.len())
        .collect();
    let metadata = match &model.metadata {
        Some(metadata) => format!(
            ", metadata: {:?}, normalisation {:?}, labels {labels:?}",
            metadata.name,
            metadata.inputs[0].normalization.as_ref().map(|n| (&n.mean, &n.std))
        ),
        None => String::new(),
    };
    format!("{} -> {}, {operators:?}{metadata}", ends(&model.inputs), ends(&model.outputs))
}

/// Every real model is read, and comes back when it is written, or is refused for an operator that
/// is missing.
#[test]
fn real_models_are_read_or_refused_by_operator() {
    let Some(shared) = shared() else {
        println!("not run: no folder with real models (set ACHADO_SHARED)");
        return;
    };
    let mut paths = models(&shared.join("models/models"));
    paths.extend(models(&shared.join("bench/models")));
    assert!(paths.len() >= 17, "{} models in {}", paths.len(), shared.display());
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match tflite::read(Bytes::from(std::fs::read(&path).unwrap())) {
            Ok(model) => {
                println!("read    {name}: {}", summary(&model));
                let written = tflite::write(&model).unwrap();
                let again = tflite::read(Bytes::from(written)).unwrap();
                assert!(again == model, "{name} is another model when it is written and read");
            }
            Err(error) => {
                println!("refused {name}: {error}");
                assert_eq!(error.code, ErrorCode::UnsupportedOperator, "{name}: {error}");
            }
        }
    }
}

/// ONNX files are told apart, whichever exporter wrote them.
#[test]
fn onnx_models_are_named() {
    let Some(shared) = shared() else {
        println!("not run: no folder with real models (set ACHADO_SHARED)");
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(shared.join("models/models")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "onnx") {
            let error = tflite::read(Bytes::from(std::fs::read(&path).unwrap())).unwrap_err();
            assert!(error.message.contains("this is an ONNX model"), "{}: {error}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen} ONNX models");
}

/// Damage to real models, as to the small one of `hostile.rs`, is an error or leaves a model.
#[test]
fn damaged_real_models_are_errors_or_models() {
    let Some(shared) = shared() else {
        println!("not run: no folder with real models (set ACHADO_SHARED)");
        return;
    };
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for path in models(&shared.join("models/models")) {
        let file = std::fs::read(&path).unwrap();
        if file.len() > 1_000_000 {
            continue;
        }
        for round in 0..100 {
            let mut damaged = file.clone();
            if round % 4 == 0 {
                damaged.truncate(random(file.len()));
            } else {
                damaged[random(file.len())] ^= u8::try_from(random(255)).unwrap() + 1;
            }
            if let Ok(model) = tflite::read(Bytes::from(damaged)) {
                model.validate().unwrap();
            }
        }
    }
}
