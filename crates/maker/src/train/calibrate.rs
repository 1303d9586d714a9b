//! Temperature: one factor on all logits that makes scores as sure as they are right.

use super::softmax::{log_sum_exp, softmax};

/// The factors that are looked at.
const RANGE: (f64, f64) = (1e-3, 1e3);

/// Logits of pictures that their head has not seen, `[n, classes]`, with their classes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unseen<'a> {
    pub logits: &'a [f64],
    pub labels: &'a [usize],
    pub classes: usize,
}

impl Unseen<'_> {
    /// What a right answer counts as, which keeps the factor finite where all are right (Platt 1999:
    /// `(n + 1) / (n + 2)`); the rest is shared by the other classes.
    fn certainty(&self) -> f64 {
        let n = self.labels.len() as f64;
        (n + 1.0) / (n + 2.0)
    }

    fn target(&self, class: usize, label: usize) -> f64 {
        let right = self.certainty();
        if class == label { right } else { (1.0 - right) / (self.classes - 1).max(1) as f64 }
    }

    /// Mean cross-entropy of the logits times `factor`, in nats.
    pub fn loss(&self, factor: f64) -> f64 {
        let mut sum = 0.0;
        let mut scaled = vec![0.0; self.classes];
        for (logits, &label) in self.logits.chunks_exact(self.classes).zip(self.labels) {
            scaled.iter_mut().zip(logits).for_each(|(scaled, logit)| *scaled = factor * logit);
            sum += log_sum_exp(&scaled);
            for (class, logit) in scaled.iter().enumerate() {
                sum -= self.target(class, label) * logit;
            }
        }
        sum / self.labels.len().max(1) as f64
    }

    /// The slope of [`Unseen::loss`], which rises with `factor`: the loss is convex in it.
    fn slope(&self, factor: f64) -> f64 {
        let mut sum = 0.0;
        let mut scores = vec![0.0; self.classes];
        for (logits, &label) in self.logits.chunks_exact(self.classes).zip(self.labels) {
            scores.iter_mut().zip(logits).for_each(|(score, logit)| *score = factor * logit);
            softmax(&mut scores);
            for (class, (score, logit)) in scores.iter().zip(logits).enumerate() {
                sum += (score - self.target(class, label)) * logit;
            }
        }
        sum
    }

    /// The factor of the lowest loss; 1 where there is nothing to learn from.
    pub fn factor(&self) -> f64 {
        if self.labels.is_empty() {
            return 1.0;
        }
        let (mut low, mut high) = RANGE;
        for _ in 0..60 {
            let middle = (low * high).sqrt();
            if self.slope(middle) < 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        (low * high).sqrt()
    }
}

/// The score that `share` of the pictures reach with their best class: what is below is "none of
/// these". 0 where there are no pictures.
pub(crate) fn threshold(logits: &[f64], classes: usize, share: f64) -> f64 {
    let best = |logits: &[f64]| {
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (most - log_sum_exp(logits)).exp()
    };
    let mut scores: Vec<f64> = logits.chunks_exact(classes).map(best).collect();
    scores.sort_by(f64::total_cmp);
    let below = ((1.0 - share) * scores.len() as f64).floor() as usize;
    scores.get(below).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sureness_is_brought_to_what_is_right() {
        // Each picture is sure by e^4, and three of four are right.
        let logits: Vec<f64> = (0..400).flat_map(|_| [4.0, 0.0]).collect();
        let labels: Vec<usize> = (0..400).map(|row| usize::from(row % 4 == 0)).collect();
        let unseen = Unseen { logits: &logits, labels: &labels, classes: 2 };
        let factor = unseen.factor();
        let score = 1.0 / (1.0 + (-4.0 * factor).exp());
        assert!((score - 0.75).abs() < 2e-3, "{score}");
        assert!(unseen.loss(factor) < unseen.loss(1.1 * factor));
        assert!(unseen.loss(factor) < unseen.loss(0.9 * factor));
    }

    #[test]
    fn all_right_stays_finite_and_nothing_is_one() {
        let unseen = Unseen { logits: &[1.0, 0.0, 0.0, 1.0], labels: &[0, 1], classes: 2 };
        assert!((1.0..3.0).contains(&unseen.factor()));
        assert_eq!(Unseen { logits: &[], labels: &[], classes: 2 }.factor(), 1.0);
    }

    #[test]
    fn a_threshold_is_a_quantile_of_the_best_scores() {
        let logits: Vec<f64> = (0..20).flat_map(|row| [f64::from(row), 0.0]).collect();
        let score = |logit: f64| 1.0 / (1.0 + (-logit).exp());
        assert!((threshold(&logits, 2, 0.95) - score(1.0)).abs() < 1e-12);
        assert!((threshold(&logits, 2, 1.0) - score(0.0)).abs() < 1e-12);
        assert_eq!(threshold(&[], 2, 0.95), 0.0);
    }
}
