//! Heads beside scikit-learn's on the same embeddings: `scripts/maker/heads.py` wrote `heads.json`.

use achado_maker::train::{Kind, TrainOptions, Trained, Training, head_logits};
use serde_json::Value;

struct Case {
    value: Value,
    embeddings: Vec<f32>,
    labels: Vec<usize>,
    features: usize,
    classes: usize,
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

fn cases() -> Vec<Case> {
    let value: Value = serde_json::from_str(include_str!("heads.json")).unwrap();
    let case = |value: &Value| Case {
        embeddings: indices(&value["embeddings"]).into_iter().map(|byte| byte as f32).collect(),
        labels: indices(&value["labels"]),
        features: number(&value["features"]) as usize,
        classes: number(&value["classes"]) as usize,
        value: value.clone(),
    };
    value.as_array().unwrap().iter().map(case).collect()
}

fn train(case: &Case, options: TrainOptions) -> Trained {
    let sessions: Vec<usize> = (0..case.labels.len()).collect();
    let (labels, classes) = (&case.labels, case.classes);
    let training =
        Training::new(&case.embeddings, case.features, labels, &sessions, classes, options);
    let mut training = training.unwrap();
    while training.advance().unwrap() {}
    assert_eq!(training.progress(), 1.0);
    training.finish().unwrap()
}

fn logits(case: &Case, trained: &Trained) -> Vec<f64> {
    let rows = case.embeddings.chunks(case.features);
    rows.flat_map(|row| head_logits(&trained.weights, &trained.bias, row)).collect()
}

fn best(logits: &[f64]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

#[test]
fn softmax_regression_has_the_optimum_of_scikit_learn() {
    let (mut equal, mut all) = (0, 0);
    for case in cases() {
        for expected in case.value["logistic"].as_array().unwrap() {
            let options = TrainOptions {
                strength: Some(1.0 / number(&expected["c"])),
                balanced: expected["balanced"].as_bool().unwrap(),
                calibrate: false,
                ..TrainOptions::default()
            };
            let trained = train(&case, options);
            let loss = number(&expected["loss"]);
            let error = (trained.objective - loss) / loss;
            assert!(error.abs() < 1e-6, "{}: {} {loss}", expected["c"], trained.objective);
            let logits = logits(&case, &trained);
            let found = logits.chunks(case.classes).map(best);
            let predictions = indices(&expected["predictions"]);
            equal += found.zip(&predictions).filter(|(found, expected)| found == *expected).count();
            all += predictions.len();
        }
    }
    assert!(all > 500 && equal as f64 >= 0.995 * all as f64, "{equal} of {all}");
}

#[test]
fn discriminants_are_those_of_scikit_learn() {
    for case in cases() {
        for expected in case.value["discriminants"].as_array().unwrap() {
            let options = TrainOptions {
                kind: Kind::Lda,
                strength: Some(number(&expected["shrinkage"])),
                balanced: expected["balanced"].as_bool().unwrap(),
                calibrate: false,
                ..TrainOptions::default()
            };
            let found = logits(&case, &train(&case, options));
            let rows = expected["logits"].as_array().unwrap();
            for (found, expected) in found.chunks(case.classes).zip(rows) {
                let expected: Vec<f64> = expected.as_array().unwrap().iter().map(number).collect();
                // What all classes have alike says nothing.
                for (found, expected) in relative(found).zip(relative(&expected)) {
                    // Weights are f32.
                    let error = (found - expected).abs() / expected.abs().max(10.0);
                    assert!(error < 2e-6, "{found} {expected}");
                }
            }
        }
    }
}

fn relative(logits: &[f64]) -> impl Iterator<Item = f64> {
    logits.iter().map(|logit| logit - logits[0])
}

#[test]
fn the_same_pictures_and_seed_give_the_same_bytes() {
    let case = &cases()[0];
    for kind in [Kind::Softmax, Kind::Lda, Kind::Centroid] {
        let options = TrainOptions { kind, seed: 3, ..TrainOptions::default() };
        let one = train(case, options.clone());
        let two = train(case, options);
        assert_eq!((one.weights, one.bias), (two.weights, two.bias));
        assert!(one.tried.len() <= 9 && !one.tried.is_empty());
        assert!(one.factor > 0.0 && one.threshold > 0.0 && one.threshold < 1.0);
        assert!(one.unseen.iter().all(|logit| logit.is_finite()));
    }
}

#[test]
fn what_cannot_be_learnt_from_is_refused() {
    let refuse = |embeddings: &[f32], labels: &[usize], classes, options| {
        let sessions: Vec<usize> = (0..labels.len()).collect();
        let error = Training::new(embeddings, 2, labels, &sessions, classes, options).unwrap_err();
        (error.code.as_str(), error.message.into_owned())
    };
    let four = [1.0f32, 0.0, 0.0, 1.0, 1.0, 0.5, 0.5, 1.0];
    let default = TrainOptions::default;
    assert_eq!(refuse(&four, &[0; 4], 1, default()).0, "NOT_ENOUGH_DATA");
    let (code, message) = refuse(&four, &[0, 0, 0, 1], 2, default());
    assert_eq!(
        (code, &*message),
        ("NOT_ENOUGH_DATA", "class 1 has 1 pictures; each needs 2 or more")
    );
    assert_eq!(refuse(&four, &[0, 0, 1, 1], 2000, default()).0, "INVALID_INPUT");
    assert_eq!(refuse(&four[..6], &[0, 0, 1, 1], 2, default()).0, "INVALID_INPUT");
    let mut bad = four;
    bad[5] = f32::NAN;
    let (_, message) = refuse(&bad, &[0, 0, 1, 1], 2, default());
    assert!(message.contains("picture 2"), "{message}");
    for strength in [0.0, -1.0, f64::NAN] {
        let options = TrainOptions { strength: Some(strength), ..default() };
        let (code, message) = refuse(&four, &[0, 0, 1, 1], 2, options);
        assert_eq!(code, "INVALID_OPTION");
        assert!(message.contains("l2"), "{message}");
    }
}

#[test]
fn few_pictures_and_whole_sessions_still_train() {
    // One session a class: no fold can hold a class out that it has learnt.
    let embeddings = [1.0f32, 0.0, 0.9, 0.1, 0.0, 1.0, 0.2, 0.9];
    let options = TrainOptions::default();
    let mut training =
        Training::new(&embeddings, 2, &[0, 0, 1, 1], &[5, 5, 9, 9], 2, options).unwrap();
    while training.advance().unwrap() {}
    let trained = training.finish().unwrap();
    assert!(trained.unseen.iter().all(|logit| logit.is_nan()));
    assert_eq!(trained.factor, 1.0);
    let logits = head_logits(&trained.weights, &trained.bias, &[1.0, 0.05]);
    assert!(logits[0] > logits[1]);
}
