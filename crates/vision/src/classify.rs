//! Scores to categories: dequantise, filter, best first.

use std::cmp::Ordering;
use std::sync::Arc;

use achado_model::{DataType, Error, Metadata, Result, Tensor};

use crate::labels::Names;
use crate::metadata::tensor_name;
use crate::options::{ClassifierOptions, invalid};
use crate::smoothing::{Smoothed, Smoothing};

/// One class with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Category {
    /// The place in the model's output.
    pub index: usize,
    /// What the model says, dequantised: a probability if the model ends in a softmax.
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
    ranking: Vec<(f32, usize)>,
    max_results: usize,
    no_name: Arc<str>,
    smoothed: Smoothed,
}

#[derive(Debug)]
struct Head {
    name: Arc<str>,
    classes: usize,
    scores: Scores,
    names: Names,
    /// By class; `None` for no restriction.
    allowed: Option<Vec<bool>>,
    threshold: Option<f32>,
}

/// How an output's bytes become scores.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scores {
    Float32,
    UInt8 { scale: f32, zero_point: i32 },
    Int8 { scale: f32, zero_point: i32 },
}

impl Scores {
    fn of(index: usize, tensor: &Tensor) -> Result<Self> {
        let quantization = || {
            tensor.quantization.as_ref().and_then(|q| q.as_per_tensor()).ok_or_else(|| {
                Error::unsupported_type(format!(
                    "output {index} {:?} is {} without one scale and zero point for the whole \
                     tensor",
                    tensor.name, tensor.dtype
                ))
                .with("tensor", tensor.name.as_str())
            })
        };
        match tensor.dtype {
            DataType::Float32 => Ok(Self::Float32),
            DataType::UInt8 => {
                quantization().map(|(scale, zero_point)| Self::UInt8 { scale, zero_point })
            }
            DataType::Int8 => {
                quantization().map(|(scale, zero_point)| Self::Int8 { scale, zero_point })
            }
            other => Err(Error::unsupported_type(format!(
                "output {index} {:?} is {other}; scores are float32, uint8 or int8",
                tensor.name
            ))
            .with("tensor", tensor.name.as_str())),
        }
    }

    /// TFLite's DEQUANTIZE: `scale * (q - zero_point)`.
    fn read(self, bytes: &[u8], mut each: impl FnMut(usize, f32)) {
        let real = |q: i32, scale: f32, zero_point: i32| scale * (q - zero_point) as f32;
        match self {
            Self::Float32 => {
                for (i, &bytes) in bytes.as_chunks().0.iter().enumerate() {
                    each(i, f32::from_le_bytes(bytes));
                }
            }
            Self::UInt8 { scale, zero_point } => {
                for (i, &byte) in bytes.iter().enumerate() {
                    each(i, real(byte.into(), scale, zero_point));
                }
            }
            Self::Int8 { scale, zero_point } => {
                for (i, &byte) in bytes.iter().enumerate() {
                    each(i, real(byte.cast_signed().into(), scale, zero_point));
                }
            }
        }
    }
}

impl Postprocessor {
    /// Checks the options against the outputs and their metadata.
    ///
    /// # Errors
    /// `UNSUPPORTED_TYPE` if an output holds no scores, `INVALID_OPTION` if options are out of range
    /// or do not fit, `MODEL_FORMAT` if the metadata's labels do not fit an output.
    pub fn new(
        outputs: &[Tensor],
        metadata: Option<&Metadata>,
        options: &ClassifierOptions,
    ) -> Result<Self> {
        options.validate()?;
        if outputs.is_empty() {
            return Err(Error::unsupported_type("the model has no output"));
        }
        if options.labels.is_some() && outputs.len() > 1 {
            let outputs = outputs.len();
            return Err(invalid(
                "labels",
                &format!(
                    "one list is for one output; the model has {outputs}, so their names \
                          must come from its metadata"
                ),
            ));
        }
        let mut heads = Vec::with_capacity(outputs.len());
        for (index, tensor) in outputs.iter().enumerate() {
            let classes = classes(index, tensor)?;
            let described = metadata.and_then(|metadata| metadata.outputs.get(index));
            let names = match (&options.labels, described) {
                (Some(labels), _) => Names::from_caller(labels, classes)?,
                (None, Some(described)) => {
                    let locale = options.display_names_locale.as_deref();
                    Names::from_metadata(described, classes, locale)?
                }
                (None, None) => Names::default(),
            };
            heads.push(Head {
                name: Arc::from(tensor_name(tensor, described)),
                classes,
                scores: Scores::of(index, tensor)?,
                allowed: None,
                threshold: options
                    .score_threshold
                    .or(described.and_then(|described| described.score_threshold)),
                names,
            });
        }
        if !options.category_allowlist.is_empty() {
            restrict(&mut heads, "categoryAllowlist", &options.category_allowlist, true)?;
        }
        if !options.category_denylist.is_empty() {
            restrict(&mut heads, "categoryDenylist", &options.category_denylist, false)?;
        }
        let max_results = options.max_results.and_then(|n| usize::try_from(n).ok());
        Ok(Self {
            heads,
            ranking: Vec::new(),
            max_results: max_results.unwrap_or(usize::MAX),
            no_name: Arc::from(""),
            smoothed: Smoothed::default(),
        })
    }

    /// How many classes of the first output have a name.
    pub fn labels(&self) -> usize {
        self.heads.first().map_or(0, |head| head.names.category.len())
    }

    /// The categories of every output; `bytes(i)` gives the elements of output `i`, little-endian.
    /// With `smoothing`, the scores are blended with those of the frames before.
    ///
    /// # Errors
    /// Those of `bytes`; `INVALID_OPTION` for a share that is not from 0 to below 1.
    pub fn run<'a>(
        &mut self,
        bytes: impl Fn(usize) -> Result<&'a [u8]>,
        smoothing: Option<&Smoothing>,
    ) -> Result<Vec<Classifications>> {
        self.smoothed.start(self.heads.len(), smoothing)?;
        let mut classifications = Vec::with_capacity(self.heads.len());
        for (head_index, head) in self.heads.iter().enumerate() {
            let ranking = &mut self.ranking;
            ranking.clear();
            let mut smooth = self.smoothed.head(head_index, smoothing);
            head.scores.read(bytes(head_index)?, |index, score| {
                let score = smooth(index, score);
                let allowed = head.allowed.as_ref().is_none_or(|allowed| allowed[index]);
                // NaN is above no threshold.
                if allowed && head.threshold.is_none_or(|threshold| score >= threshold) {
                    ranking.push((score, index));
                }
            });
            if self.max_results < ranking.len() {
                ranking.select_nth_unstable_by(self.max_results - 1, best_first);
                ranking.truncate(self.max_results);
            }
            ranking.sort_unstable_by(best_first);
            let name = |names: &[Arc<str>], index: usize| {
                Arc::clone(names.get(index).unwrap_or(&self.no_name))
            };
            let category = |&(score, index): &(f32, usize)| Category {
                index,
                score,
                category_name: name(&head.names.category, index),
                display_name: name(&head.names.display, index),
            };
            classifications.push(Classifications {
                head_index,
                head_name: Arc::clone(&head.name),
                categories: ranking.iter().map(category).collect(),
            });
        }
        Ok(classifications)
    }
}

/// Score descending with NaN last, then index ascending: a total order, so ties are stable.
fn best_first(a: &(f32, usize), b: &(f32, usize)) -> Ordering {
    let by_score = match (a.0.is_nan(), b.0.is_nan()) {
        (false, false) => b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal),
        (a_nan, b_nan) => a_nan.cmp(&b_nan),
    };
    by_score.then(a.1.cmp(&b.1))
}

/// The number of classes of an output `[1, n]` or `[1, 1, 1, n]`.
fn classes(index: usize, tensor: &Tensor) -> Result<usize> {
    match tensor.shape[..] {
        [1, classes] | [1, 1, 1, classes] if classes > 0 => Ok(classes),
        _ => Err(Error::unsupported_type(format!(
            "output {index} {:?} has shape {:?}; a classifier's outputs are [1, classes] or \
             [1, 1, 1, classes]",
            tensor.name, tensor.shape
        ))
        .with("tensor", tensor.name.as_str())),
    }
}

/// Sets which classes of each head pass. A name may stand for several classes (ImageNet has two
/// cranes) and in several heads, but must stand for one.
fn restrict(heads: &mut [Head], option: &str, list: &[String], allow: bool) -> Result<()> {
    if heads.iter().all(|head| head.names.category.is_empty()) {
        return Err(invalid(option, "needs category names, and the model has none; give labels"));
    }
    let known = |name: &&String| {
        heads.iter().any(|head| head.names.category.iter().any(|known| **known == ***name))
    };
    let unknown: Vec<_> =
        list.iter().filter(|name| !known(name)).map(|n| format!("{n:?}")).collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        return Err(invalid(option, &format!("the model has no category {unknown}"))
            .with("unknown", unknown));
    }
    for head in heads {
        let listed = |name: &Arc<str>| list.iter().any(|listed| **listed == **name);
        let names = &head.names.category;
        let allowed = |class| names.get(class).is_some_and(listed) == allow;
        head.allowed = Some((0..head.classes).map(allowed).collect());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use achado_model::metadata::{Labels, TensorMetadata};
    use achado_model::{ErrorCode, Quantization};

    use super::*;
    use crate::testing::tensor;

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn labels(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|&name| name.into()).collect())
    }

    fn run(options: ClassifierOptions, scores: &[f32]) -> Vec<Category> {
        let output = tensor(DataType::Float32, &[1, scores.len()], None);
        let mut post = Postprocessor::new(&[output], None, &options).unwrap();
        let bytes = floats(scores);
        post.run(|_| Ok(&bytes), None).unwrap().remove(0).categories
    }

    fn refused(shape: &[usize], dtype: DataType, options: ClassifierOptions) -> Error {
        Postprocessor::new(&[tensor(dtype, shape, None)], None, &options).unwrap_err()
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
                Postprocessor::new(&[output], None, &ClassifierOptions::default()).unwrap();
            let heads = post.run(|_| Ok(&bytes), None).unwrap();
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
        assert!(Postprocessor::new(&[per_channel], None, &default()).is_err());
        assert!(Postprocessor::new(&[], None, &default()).is_err());
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
            let mut post = Postprocessor::new(&outputs, Some(&metadata), options).unwrap();
            let bytes = [floats(&[0.25, 0.75]), vec![200, 100, 128]];
            post.run(|i| Ok(&bytes[i]), None).unwrap()
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
        let labelled = ClassifierOptions { labels: labels(&["a", "b"]), ..options };
        let error = Postprocessor::new(&outputs, Some(&metadata), &labelled).unwrap_err();
        assert!(error.message.contains("the model has 2"), "{error}");
    }
}
