//! What a caller sets of a model and of a classifier.

use achado_model::{Error, Result};

use crate::preprocess::Preprocess;

/// What makes scores of logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScoreActivation {
    /// Scores are as they are.
    #[default]
    None,
    /// `exp(x[i]) / sum(exp(x))`: one of the classes is right.
    Softmax,
    /// `1 / (1 + exp(-x))`: each class is right or not, by itself.
    Sigmoid,
}

impl ScoreActivation {
    /// The name in JavaScript.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
        }
    }

    /// This one, or `other` where this is none.
    pub(crate) fn or(self, other: Self) -> Self {
        if self == Self::None { other } else { self }
    }

    /// Applies it to all scores of a head.
    pub(crate) fn apply(self, scores: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Softmax => {
                // The largest becomes 1, so that nothing overflows.
                let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut sum = 0.0;
                for score in scores.iter_mut() {
                    *score = (*score - max).exp();
                    sum += *score;
                }
                for score in scores {
                    *score /= sum;
                }
            }
            Self::Sigmoid => {
                for score in scores {
                    *score = 1.0 / (1.0 + (-*score).exp());
                }
            }
        }
    }
}

/// How a model is loaded; names in messages are those of JavaScript.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageModelOptions {
    /// How pixels become the input tensor.
    pub preprocess: Preprocess,
    /// Shapes of inputs, by their names, that are not the file's. Not changed later.
    pub input_shapes: Vec<(String, Vec<usize>)>,
    /// How many pictures run at once where there are as many, if the graph allows it; 0 counts as
    /// 1. More than 1 keeps a second set of packed weights. Not changed later.
    pub batch_size: usize,
    /// How many threads run the network; 0 and 1 are the caller's alone. Not changed later.
    pub threads: usize,
}

/// Options of a classifier; names in messages are those of JavaScript.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassifierOptions {
    /// How the model is loaded and its pictures prepared.
    pub model: ImageModelOptions,
    /// The names of the outputs that are scores. Empty for all that can be.
    pub heads: Vec<String>,
    /// What makes scores of the outputs of a model that ends in logits.
    pub activation: ScoreActivation,
    /// Class names by index instead of the metadata's; for models with one head.
    pub labels: Option<Vec<String>>,
    /// At most so many categories a head, best first; negative for all. Default all.
    pub max_results: Option<i32>,
    /// Categories with a lower score are left out. Default: the metadata's threshold, if any.
    pub score_threshold: Option<f32>,
    /// The language of `display_name`, as BCP 47. Looked up by RFC 4647: `pt-BR` finds `pt`, `en`
    /// does not find `en-GB`. Without a match `display_name` is empty.
    pub display_names_locale: Option<String>,
    /// Only these categories, by `category_name`. Empty for no restriction. Excludes
    /// `category_denylist`.
    pub category_allowlist: Vec<String>,
    /// All but these categories, by `category_name`.
    pub category_denylist: Vec<String>,
}

impl ClassifierOptions {
    /// Checks what can be checked without a model.
    ///
    /// # Errors
    /// `INVALID_OPTION`, by the option's name in JavaScript.
    pub fn validate(&self) -> Result<()> {
        self.model.preprocess.validate()?;
        if self.max_results == Some(0) {
            return Err(invalid("maxResults", "must be 1 or more, or -1 for all; is 0"));
        }
        if let Some(threshold) = self.score_threshold
            && !threshold.is_finite()
        {
            return Err(invalid(
                "scoreThreshold",
                &format!("must be a finite number, is {threshold}"),
            ));
        }
        if !self.category_allowlist.is_empty() && !self.category_denylist.is_empty() {
            return Err(invalid(
                "categoryAllowlist",
                "cannot be combined with categoryDenylist; give one of the two",
            ));
        }
        Ok(())
    }
}

/// `INVALID_OPTION` with the option's name before the message and in the details.
pub(crate) fn invalid(option: &str, message: &str) -> Error {
    Error::invalid_option(format!("{option}: {message}")).with("option", option)
}

/// A JavaScript number as an integer option.
///
/// # Errors
/// `INVALID_OPTION` naming `option` if `value` is NaN, infinite, has a fraction or leaves `i32`.
pub fn integer_option(option: &str, value: f64) -> Result<i32> {
    if value.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value) {
        Ok(value as i32)
    } else {
        Err(invalid(option, &format!("must be a whole number, is {value}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_options_are_named() {
        let message = |options: ClassifierOptions| options.validate().unwrap_err().to_string();
        let default = ClassifierOptions::default;
        assert_eq!(
            message(ClassifierOptions { max_results: Some(0), ..default() }),
            "INVALID_OPTION: maxResults: must be 1 or more, or -1 for all; is 0"
        );
        assert_eq!(
            message(ClassifierOptions { score_threshold: Some(f32::NAN), ..default() }),
            "INVALID_OPTION: scoreThreshold: must be a finite number, is NaN"
        );
        let both = ClassifierOptions {
            category_allowlist: vec!["cat".into()],
            category_denylist: vec!["dog".into()],
            ..default()
        };
        assert!(message(both).contains("categoryAllowlist"));
        let preprocess = |preprocess| ClassifierOptions {
            model: ImageModelOptions { preprocess, ..Default::default() },
            ..default()
        };
        for (bad, name) in [
            (Preprocess { crop_fraction: Some(f32::NAN), ..Default::default() }, "cropFraction"),
            (Preprocess { crop_fraction: Some(0.0), ..Default::default() }, "cropFraction"),
            (Preprocess { crop_fraction: Some(1.5), ..Default::default() }, "cropFraction"),
            (Preprocess { std: Some(vec![0.0]), ..Default::default() }, "std"),
            (Preprocess { std: Some(vec![]), ..Default::default() }, "std"),
            (Preprocess { mean: Some(vec![f32::INFINITY]), ..Default::default() }, "mean"),
        ] {
            let message = message(preprocess(bad));
            assert!(message.contains(&format!("preprocess.{name}")), "{message}");
        }
        assert_eq!(default().validate(), Ok(()));
    }

    #[test]
    fn integers_from_javascript() {
        assert_eq!(integer_option("maxResults", -1.0), Ok(-1));
        assert_eq!(integer_option("rotationDegrees", 270.0), Ok(270));
        for bad in [f64::NAN, f64::INFINITY, 2.5, 3e9] {
            let error = integer_option("maxResults", bad).unwrap_err().to_string();
            assert!(error.contains("maxResults: must be a whole number"), "{error}");
        }
    }
}
