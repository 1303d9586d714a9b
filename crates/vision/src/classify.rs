//! Scores to categories: dequantise, filter, best first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use achado_model::{Metadata, Result, Tensor};

use crate::ends::OutputEnd;
use crate::heads::{Head, heads};
use crate::labels::Names;
use crate::metadata::HeadInfo;
use crate::options::ClassifierOptions;
use crate::smoothing::{Smoothed, Smoothing};

/// One class with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Category {
    /// The place in the model's output.
    pub index: usize,
    /// What the model says, dequantised: a probability if the model ends in a softmax, or if the
    /// options ask for one.
    pub score: f32,
    /// The name that identifies the class; empty without labels.
    pub category_name: Arc<str>,
    /// The name in the caller's language; empty if the model has none.
    pub display_name: Arc<str>,
}

/// The categories of one output, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifications {
    /// Which output.
    pub head_index: usize,
    /// Its name in the metadata, or else the tensor's.
    pub head_name: Arc<str>,
    /// By score, descending; equal scores by index, ascending; NaN last.
    pub categories: Vec<Category>,
}

/// Turns the bytes of all outputs into categories.
#[derive(Debug)]
pub struct Postprocessor {
    heads: Vec<Head>,
    scores: Vec<f32>,
    ranking: Vec<Ranked>,
    max_results: usize,
    no_name: Arc<str>,
    smoothed: Smoothed,
}

impl Postprocessor {
    /// Checks the options against the outputs, what they end in and their metadata.
    ///
    /// # Errors
    /// `UNSUPPORTED_TYPE` if an output holds no scores, `INVALID_OPTION` if options are out of range
    /// or do not fit, `MODEL_FORMAT` if the metadata's labels do not fit an output.
    pub fn new(
        outputs: &[Tensor],
        ends: &[OutputEnd],
        metadata: Option<&Metadata>,
        options: &ClassifierOptions,
    ) -> Result<Self> {
        options.validate()?;
        let heads = heads(outputs, ends, metadata, options)?;
        let max_results = options.max_results.and_then(|n| usize::try_from(n).ok());
        Ok(Self {
            heads,
            scores: Vec::new(),
            ranking: Vec::new(),
            max_results: max_results.unwrap_or(usize::MAX),
            no_name: Arc::from(""),
            smoothed: Smoothed::default(),
        })
    }

    /// The outputs that are scores.
    pub fn heads(&self) -> Vec<HeadInfo> {
        self.heads.iter().map(Head::info).collect()
    }

    /// The names of their classes, head by head.
    pub fn names(&self) -> impl Iterator<Item = &Names> {
        self.heads.iter().map(|head| &head.names)
    }

    /// The categories of every output; `bytes(i)` gives the elements of output `i`, little-endian.
    /// With `smoothing`, the scores are blended with those of the frames before.
    ///
    /// # Errors
    /// Those of `bytes`; `INVALID_OPTION` for a share that is not from 0 to below 1.
    pub fn run<'a>(
        &mut self,
        bytes: &dyn Fn(usize) -> Result<&'a [u8]>,
        smoothing: Option<&Smoothing>,
    ) -> Result<Vec<Classifications>> {
        self.smoothed.start(self.heads.len(), smoothing)?;
        let mut classifications = Vec::with_capacity(self.heads.len());
        let Self { heads, scores, ranking, smoothed, .. } = self;
        for (place, head) in heads.iter().enumerate() {
            scores.clear();
            head.scores.read(bytes(head.output)?, scores);
            head.activation.apply(scores);
            if let (true, &[score]) = (head.is_binary, &scores[..]) {
                scores.insert(0, 1.0 - score);
            }
            ranking.clear();
            let mut smooth = smoothed.head(place, smoothing);
            for (index, &score) in scores.iter().enumerate() {
                let score = smooth(index, score);
                let allowed = head.allowed.as_ref().is_none_or(|allowed| allowed[index]);
                // NaN is above no threshold.
                if allowed && head.threshold.is_none_or(|threshold| score >= threshold) {
                    ranking.push(Ranked { score, index });
                }
            }
            let name = |names: &[Arc<str>], index: usize| {
                Arc::clone(names.get(index).unwrap_or(&self.no_name))
            };
            let category = |Ranked { score, index }| Category {
                index,
                score,
                category_name: name(&head.names.category, index),
                display_name: name(&head.names.display, index),
            };
            // A heap, not a sort: the standard library's sorting would be a fiftieth of the wasm file.
            let mut heap = BinaryHeap::from(std::mem::take(ranking));
            let best = std::iter::from_fn(|| heap.pop()).take(self.max_results);
            let categories = best.map(category).collect();
            *ranking = heap.into_vec();
            classifications.push(Classifications {
                head_index: head.output,
                head_name: Arc::clone(&head.name),
                categories,
            });
        }
        Ok(classifications)
    }
}

/// A class with its score. The greatest has the highest score, NaN last, and of equal ones the
/// lowest index: a total order, so ties are stable.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    score: f32,
    index: usize,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = match (self.score.is_nan(), other.score.is_nan()) {
            (false, false) => self.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal),
            (a_nan, b_nan) => b_nan.cmp(&a_nan),
        };
        by_score.then(other.index.cmp(&self.index))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

#[cfg(test)]
mod tests {
    use achado_model::metadata::{Labels, TensorMetadata};
    use achado_model::{DataType, Error, ErrorCode, Quantization};

    use super::*;
    use crate::options::ScoreActivation;
    use crate::testing::tensor;

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn labels(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|&name| name.into()).collect())
    }

    fn run(options: ClassifierOptions, scores: &[f32]) -> Vec<Category> {
        let output = tensor(DataType::Float32, &[1, scores.len()], None);
        let mut post = Postprocessor::new(&[output], &[], None, &options).unwrap();
        let bytes = floats(scores);
        post.run(&|_| Ok(&bytes), None).unwrap().remove(0).categories
    }

    fn refused(shape: &[usize], dtype: DataType, options: ClassifierOptions) -> Error {
        Postprocessor::new(&[tensor(dtype, shape, None)], &[], None, &options).unwrap_err()
    }

    fn indices(categories: &[Category]) -> Vec<usize> {
        categories.iter().map(|category| category.index).collect()
    }

    #[test]
    fn ties_keep_their_order_and_nan_comes_last() {
        let scores = [0.0, 0.5, f32::NAN, 0.5, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        let all = run(ClassifierOptions::default(), &scores);
        assert_eq!(indices(&all), [5, 1, 3, 0, 4, 6, 2, 7]);
        let options = ClassifierOptions { score_threshold: Some(0.0), ..Default::default() };
        assert_eq!(indices(&run(options, &scores)), [5, 1, 3, 0, 4]);
    }

    #[test]
    fn top_k_is_the_head_of_the_whole_ranking() {
        let mut state = 7u32;
        for n in 1..60 {
            let scores: Vec<f32> = (0..n)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Few distinct values, so that there are ties.
                    if state >> 28 == 3 { f32::NAN } else { (state >> 29) as f32 / 8.0 }
                })
                .collect();
            let all = indices(&run(ClassifierOptions::default(), &scores));
            assert_eq!(all.len(), n);
            for k in 1..=n + 1 {
                let max_results = Some(i32::try_from(k).unwrap());
                let top = run(ClassifierOptions { max_results, ..Default::default() }, &scores);
                assert_eq!(indices(&top), all[..k.min(n)]);
            }
        }
        let all = run(ClassifierOptions { max_results: Some(-1), ..Default::default() }, &[0.1; 9]);
        assert_eq!(all.len(), 9);
    }

    #[test]
    fn integer_scores_are_dequantised() {
        let bytes = [0u8, 255, 128];
        for (dtype, zero_point, expected) in [
            (DataType::UInt8, 0, [(1, 255.0 / 256.0), (2, 0.5), (0, 0.0)]),
            (DataType::Int8, -128, [(0, 0.5), (1, 127.0 / 256.0), (2, 0.0)]),
        ] {
            let output = tensor(dtype, &[1, 1, 1, 3], Some((1.0 / 256.0, zero_point)));
            let mut post =
                Postprocessor::new(&[output], &[], None, &ClassifierOptions::default()).unwrap();
            let heads = post.run(&|_| Ok(&bytes), None).unwrap();
            let found: Vec<_> = heads[0].categories.iter().map(|c| (c.index, c.score)).collect();
            assert_eq!(found, expected);
            assert_eq!(&*heads[0].head_name, "x");
            assert_eq!(&*heads[0].categories[0].category_name, "");
        }
    }

    #[test]
    fn outputs_that_hold_no_scores_are_refused_by_shape_and_type() {
        let default = ClassifierOptions::default;
        let error = refused(&[1, 10, 4], DataType::Float32, default());
        assert_eq!(error.code, ErrorCode::UnsupportedType);
        assert!(error.message.contains("output 0 \"x\" has shape [1, 10, 4]"), "{error}");
        for shape in [&[2, 10][..], &[1, 0], &[10], &[1, 7, 7, 3], &[]] {
            assert_eq!(
                refused(shape, DataType::Float32, default()).code,
                ErrorCode::UnsupportedType
            );
        }
        assert!(refused(&[1, 5], DataType::Int64, default()).message.contains("is int64"));
        assert!(refused(&[1, 5], DataType::UInt8, default()).message.contains("without one scale"));
        let mut per_channel = tensor(DataType::Int8, &[1, 2], None);
        per_channel.quantization =
            Some(Quantization { scale: vec![1.0; 2], zero_point: vec![0; 2], axis: 1 });
        assert!(Postprocessor::new(&[per_channel], &[], None, &default()).is_err());
        assert!(Postprocessor::new(&[], &[], None, &default()).is_err());
    }

    #[test]
    fn lists_pass_and_stop_categories_by_name() {
        let options = |allow: &[&str], deny: &[&str]| ClassifierOptions {
            labels: labels(&["cat", "crane", "dog", "crane"]),
            category_allowlist: allow.iter().map(|&name| name.into()).collect(),
            category_denylist: deny.iter().map(|&name| name.into()).collect(),
            ..Default::default()
        };
        let scores = [0.1, 0.2, 0.3, 0.4];
        assert_eq!(indices(&run(options(&["crane"], &[]), &scores)), [3, 1]);
        assert_eq!(indices(&run(options(&[], &["crane", "cat"]), &scores)), [2]);
        assert_eq!(&*run(options(&[], &[]), &scores)[0].category_name, "crane");
        let error = refused(&[1, 4], DataType::Float32, options(&["cat", "lynx", "ibex"], &[]));
        assert_eq!(
            error.to_string(),
            "INVALID_OPTION: categoryAllowlist: the model has no category \"lynx\", \"ibex\""
        );
        let nameless = ClassifierOptions { labels: None, ..options(&[], &["cat"]) };
        let error = refused(&[1, 4], DataType::Float32, nameless);
        assert!(error.message.contains("categoryDenylist: needs category names"), "{error}");
    }

    #[test]
    fn heads_have_their_own_names_and_thresholds() {
        let list = |locale: &str, names: &[&str]| Labels {
            file_name: "labels.txt".into(),
            locale: locale.into(),
            names: names.iter().map(|&name| name.into()).collect(),
        };
        let metadata = Metadata {
            outputs: vec![
                TensorMetadata {
                    name: "kind".into(),
                    labels: vec![list("", &["cat", "dog"]), list("pt", &["gato", "cão"])],
                    ..Default::default()
                },
                TensorMetadata { score_threshold: Some(0.5), ..Default::default() },
            ],
            ..Default::default()
        };
        let outputs = [
            tensor(DataType::Float32, &[1, 2], None),
            tensor(DataType::UInt8, &[1, 3], Some((1.0 / 256.0, 0))),
        ];
        let run = |options: &ClassifierOptions| {
            let mut post = Postprocessor::new(&outputs, &[], Some(&metadata), options).unwrap();
            let bytes = [floats(&[0.25, 0.75]), vec![200, 100, 128]];
            post.run(&|i| Ok(&bytes[i]), None).unwrap()
        };
        let options =
            ClassifierOptions { display_names_locale: Some("pt-BR".into()), ..Default::default() };
        let heads = run(&options);
        assert_eq!((&*heads[0].head_name, heads[0].head_index), ("kind", 0));
        assert_eq!(&*heads[0].categories[0].display_name, "cão");
        assert_eq!((&*heads[1].head_name, heads[1].head_index), ("x", 1));
        assert_eq!(indices(&heads[1].categories), [0, 2]);
        let allow = ClassifierOptions { category_allowlist: vec!["cat".into()], ..options.clone() };
        let heads = run(&allow);
        assert_eq!(indices(&heads[0].categories), [0]);
        assert_eq!(indices(&heads[1].categories), []);
        let deny = ClassifierOptions {
            category_denylist: vec!["cat".into()],
            score_threshold: Some(0.0),
            ..options.clone()
        };
        let heads = run(&deny);
        assert_eq!(indices(&heads[0].categories), [1]);
        assert_eq!(indices(&heads[1].categories), [0, 2, 1]);
        // A list of names is for the one head that it fits.
        let labelled =
            |names| ClassifierOptions { labels: labels(names), ..ClassifierOptions::default() };
        let heads = run(&labelled(&["a", "b", "c"]));
        assert_eq!((heads.len(), heads[0].head_index), (1, 1));
        assert_eq!(&*heads[0].categories[0].category_name, "a");
        let error = Postprocessor::new(&outputs, &[], Some(&metadata), &labelled(&["a"]));
        let error = error.unwrap_err();
        assert!(error.message.contains("the model has 2, so name one"), "{error}");
    }

    #[test]
    fn outputs_beside_the_scores_are_left_out() {
        let outputs = [
            tensor(DataType::Float32, &[1, 7, 7, 4], None),
            Tensor { name: "y".into(), ..tensor(DataType::Float32, &[1, 4], None) },
            tensor(DataType::Float32, &[1, 2], None),
        ];
        let heads = |metadata: Option<&Metadata>, names: &[&str]| {
            let heads = names.iter().map(|&name| name.into()).collect();
            let options = ClassifierOptions { heads, ..Default::default() };
            let post = Postprocessor::new(&outputs, &[], metadata, &options)?;
            Ok(post.heads().iter().map(|head| head.head_index).collect::<Vec<_>>())
        };
        assert_eq!(heads(None, &[]), Ok(vec![1, 2]));
        assert_eq!(heads(None, &["y"]), Ok(vec![1]));
        let labelled = TensorMetadata {
            name: "kind".into(),
            labels: vec![Labels {
                file_name: "labels.txt".into(),
                locale: String::new(),
                names: vec!["cat".into(), "dog".into()],
            }],
            ..Default::default()
        };
        let nothing = TensorMetadata::default();
        let outputs = vec![nothing.clone(), nothing, labelled];
        let metadata = Metadata { outputs, ..Default::default() };
        assert_eq!(heads(Some(&metadata), &[]), Ok(vec![2]));
        assert_eq!(heads(Some(&metadata), &["kind", "y"]), Ok(vec![1, 2]));
        let error: Error = heads(Some(&metadata), &["z"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "INVALID_OPTION: heads: the model has no output \"z\"; it has \"x\", \"y\", \"kind\""
        );
        assert!(heads(None, &["x"]).unwrap_err().message.contains("[1, 7, 7, 4]"));
    }

    #[test]
    fn logits_become_scores_where_asked() {
        let run = |activation, logits: &[f32]| {
            let options = ClassifierOptions { activation, ..Default::default() };
            run(options, logits).iter().map(|c| (c.index, c.score)).collect::<Vec<_>>()
        };
        let two = 2f32.ln();
        assert_eq!(run(ScoreActivation::None, &[0.0, two]), [(1, two), (0, 0.0)]);
        let softmax = run(ScoreActivation::Softmax, &[0.0, two]);
        let near = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(near(softmax[0].1, 2.0 / 3.0) && near(softmax[1].1, 1.0 / 3.0), "{softmax:?}");
        // Nothing overflows.
        assert_eq!(run(ScoreActivation::Softmax, &[1000.0, -1000.0]), [(0, 1.0), (1, 0.0)]);
        let sigmoid = run(ScoreActivation::Sigmoid, &[0.0, -two, -1000.0]);
        assert!(near(sigmoid[0].1, 0.5) && near(sigmoid[1].1, 1.0 / 3.0), "{sigmoid:?}");
        assert_eq!(sigmoid[2], (2, 0.0));

        let output = [tensor(DataType::Float32, &[1, 2], None)];
        let end = OutputEnd { activation: ScoreActivation::Sigmoid, features: None, scores: None };
        let options =
            ClassifierOptions { activation: ScoreActivation::Softmax, ..Default::default() };
        let error = Postprocessor::new(&output, &[end], None, &options).unwrap_err();
        assert!(error.message.contains("activation: the model ends in a sigmoid"), "{error}");
    }
}
