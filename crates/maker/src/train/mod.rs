//! Heads: from the embeddings of pictures and their classes to a linear layer.
//!
//! All of them are linear in the embedding divided by its length. Softmax regression has one optimum,
//! the others a closed form: nothing depends on chance but the seed of the folds.

mod calibrate;
mod closed;
mod folds;
mod lbfgs;
pub(crate) mod linear;
mod softmax;
mod space;

use achado_model::{Error, Result};

use self::calibrate::{Unseen, threshold};
use self::lbfgs::{Lbfgs, Step};
use self::softmax::{Objective, argmax, logits};
use self::space::Space;

/// Which head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Softmax regression with L2.
    #[default]
    Softmax,
    /// Shrunk linear discriminant analysis.
    Lda,
    /// Nearest centroid.
    Centroid,
}

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainOptions {
    /// Which head.
    pub kind: Kind,
    /// Of softmax regression `1 / C` of scikit-learn, above 0: the loss is
    /// `sum(w_i * -ln p_i) + l2 / 2 * |W|²`. Of LDA the shrinkage, above 0 to below 1. `None`: what does
    /// best on the folds, or on pictures left out.
    pub strength: Option<f64>,
    /// Every class counts alike, however many pictures it has.
    pub balanced: bool,
    /// Multiply logits so that scores are as sure as they are right on pictures that were held out.
    pub calibrate: bool,
    /// Folds of the cross-validation: 2 or more.
    pub folds: usize,
    /// Of the folds.
    pub seed: u64,
    /// The share of unseen pictures that [`Trained::threshold`] lets pass.
    pub pass: f64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            kind: Kind::Softmax,
            strength: None,
            balanced: true,
            calibrate: true,
            folds: 5,
            seed: 0,
            pass: 0.95,
        }
    }
}

/// A strength that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// As [`TrainOptions::strength`].
    pub strength: f64,
    /// Of pictures held out, scores calibrated, in nats.
    pub loss: f64,
    /// Share of pictures held out whose best class is right.
    pub accuracy: f64,
}

/// A trained head: logits are `weights * x / |x| + bias` of an embedding `x`.
#[derive(Clone, Debug)]
pub struct Trained {
    /// `[classes, features]`; the temperature is in.
    pub weights: Vec<f32>,
    /// `[classes]`; the temperature is in.
    pub bias: Vec<f32>,
    /// What it was trained with.
    pub strength: f64,
    /// What logits were multiplied by: one over the temperature.
    pub factor: f64,
    /// The minimum that was found, of softmax regression only: the sum of [`TrainOptions::strength`].
    pub objective: f64,
    /// What unseen pictures of the classes reach, but for the share that is to be lost.
    pub threshold: f64,
    /// By picture the logits of a head that had not seen it, `[n, classes]`; NaN where there is none:
    /// its class has no other session, or there are more pictures than are held out.
    pub unseen: Vec<f32>,
    /// What was tried, in order.
    pub tried: Vec<Tried>,
}

/// `1 / l2`, weakest last. Embeddings have length 1 and lie close together.
const SOFTMAX_GRID: [f64; 9] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4];
const LDA_GRID: [f64; 5] = [0.9, 0.7, 0.5, 0.3, 0.1];
/// So many steps of the grid may be worse than the best before the search ends.
const PATIENCE: usize = 2;
/// Largest elements of the gradient of the mean loss: for comparing strengths, and at the end.
const FOLD_TOLERANCE: f64 = 1e-5;
const FINAL_TOLERANCE: f64 = 1e-10;
const FOLD_ITERATIONS: usize = 200;
const FINAL_ITERATIONS: usize = 3000;
/// More pictures make the choice of the strength no better, only longer.
const HELD_OUT_PICTURES: usize = 1200;

/// What softmax regression is at.
#[derive(Debug)]
enum Stage {
    /// A strength of the grid on one of the folds.
    Fold {
        strength: usize,
        fold: usize,
    },
    /// All pictures.
    Final,
    Closed,
    Done,
}

/// A training under way.
#[derive(Debug)]
pub struct Training {
    space: Space,
    labels: Vec<usize>,
    classes: usize,
    options: TrainOptions,
    /// By picture.
    weights: Vec<f64>,
    /// By picture; beyond the number of folds for those that are held out never.
    folds: Vec<usize>,
    grid: Vec<f64>,
    stage: Stage,
    search: Option<Lbfgs>,
    /// By fold: where the last strength has ended.
    ends: Vec<Option<Vec<f64>>>,
    unseen: Vec<f64>,
    best: Option<(Tried, f64, Vec<f64>)>,
    worse: usize,
    tried: Vec<Tried>,
    result: Option<(Vec<f64>, f64)>,
}

impl Training {
    /// Pictures by their embeddings, `[n, features]`, their classes and the sessions in which they were
    /// taken: pictures of one session are never on both sides of a fold.
    ///
    /// # Errors
    /// `INVALID_INPUT` for lists that do not fit each other and values that are no finite numbers,
    /// `NOT_ENOUGH_DATA` for fewer than 2 classes or a class with fewer than 2 pictures,
    /// `INVALID_OPTION` for options out of range.
    pub fn new(
        embeddings: &[f32],
        features: usize,
        labels: &[usize],
        sessions: &[usize],
        classes: usize,
        options: TrainOptions,
    ) -> Result<Self> {
        check(embeddings, features, labels, sessions, classes)?;
        check_options(&options)?;
        let space = Space::new(embeddings, features)?;
        let mut counts = vec![0usize; classes];
        labels.iter().for_each(|&label| counts[label] += 1);
        let n = labels.len() as f64;
        let weight = |&label: &usize| match options.balanced {
            true => n / (classes as f64 * counts[label] as f64),
            false => 1.0,
        };
        let closed = options.kind != Kind::Softmax;
        let grid = match (options.strength, options.kind) {
            (Some(strength), _) => vec![strength],
            (None, Kind::Softmax) => SOFTMAX_GRID.iter().map(|c| 1.0 / c).collect(),
            (None, Kind::Lda) => LDA_GRID.to_vec(),
            (None, Kind::Centroid) => vec![0.0],
        };
        let folds = match closed {
            true => Vec::new(),
            false => held_out(labels, sessions, classes, &options),
        };
        Ok(Self {
            weights: labels.iter().map(weight).collect(),
            labels: labels.to_vec(),
            unseen: vec![f64::NAN; labels.len() * classes],
            ends: vec![None; options.folds],
            stage: match closed {
                true => Stage::Closed,
                false => Stage::Fold { strength: 0, fold: 0 },
            },
            search: None,
            best: None,
            worse: 0,
            tried: Vec::new(),
            result: None,
            space,
            classes,
            options,
            folds,
            grid,
        })
    }

    /// Does a part of the work: an iteration of a fit. Gives whether there is more.
    ///
    /// # Errors
    /// `INVALID_OPTION` for a strength at which there is no solution.
    pub fn advance(&mut self) -> Result<bool> {
        match self.stage {
            Stage::Fold { strength, fold } => self.advance_fold(strength, fold),
            Stage::Final => self.advance_final(),
            Stage::Closed => self.solve()?,
            Stage::Done => {}
        }
        Ok(!matches!(self.stage, Stage::Done))
    }

    /// The share of the work that is done, 0 to 1. The search may end early.
    pub fn progress(&self) -> f64 {
        let (folds, all) = (self.options.folds, self.options.folds * self.grid.len() + 2);
        match self.stage {
            Stage::Fold { strength, fold } => (strength * folds + fold) as f64 / all as f64,
            Stage::Final => (all - 2) as f64 / all as f64,
            Stage::Closed => 0.0,
            Stage::Done => 1.0,
        }
    }

    fn advance_fold(&mut self, strength: usize, fold: usize) {
        let outside: Vec<usize> =
            (0..self.labels.len()).filter(|&row| self.folds[row] == fold).collect();
        let inside: Vec<usize> = (0..self.labels.len())
            .filter(|&row| self.folds[row] != fold && self.folds[row] < self.options.folds)
            .collect();
        // Classes whose every picture is in this fold cannot be learnt without it.
        let mut place = vec![None; self.classes];
        let mut present = Vec::new();
        for &row in &inside {
            let label = self.labels[row];
            if place[label].is_none() {
                place[label] = Some(present.len());
                present.push(label);
            }
        }
        let labels: Vec<usize> =
            self.labels.iter().map(|&label| place[label].unwrap_or(0)).collect();
        let finished = if outside.is_empty() || present.len() < 2 {
            true
        } else {
            let objective = Objective {
                x: self.space.points(),
                rows: &inside,
                labels: &labels,
                weights: &self.weights,
                classes: present.len(),
                penalty: self.grid[strength]
                    / inside.iter().map(|&row| self.weights[row]).sum::<f64>(),
            };
            let start = &mut self.ends[fold];
            let finished = iterate(&mut self.search, &objective, FOLD_TOLERANCE, || {
                start.take().unwrap_or_else(|| vec![0.0; objective.size()])
            });
            finished
                || self.search.as_ref().is_some_and(|search| search.iterations >= FOLD_ITERATIONS)
        };
        if !finished {
            return;
        }
        if let Some(search) = self.search.take() {
            let mut found = vec![0.0; present.len()];
            for row in outside {
                let out = &mut self.unseen[row * self.classes..][..self.classes];
                if place[self.labels[row]].is_none() {
                    continue;
                }
                logits(&search.x, self.space.points().row(row), &mut found);
                // Classes that this fold did not learn are as unlikely as the least likely one.
                out.fill(found.iter().copied().fold(f64::INFINITY, f64::min));
                present.iter().zip(&found).for_each(|(&class, logit)| out[class] = *logit);
            }
            self.ends[fold] = Some(search.x);
        }
        if fold + 1 < self.options.folds {
            self.stage = Stage::Fold { strength, fold: fold + 1 };
            return;
        }
        let is_better = self.judge(self.grid[strength], self.unseen.clone());
        self.worse = if is_better { 0 } else { self.worse + 1 };
        self.stage = match strength + 1 < self.grid.len() && self.worse < PATIENCE {
            true => Stage::Fold { strength: strength + 1, fold: 0 },
            false => Stage::Final,
        };
    }

    /// Compares a strength with the best so far, by what it says about unseen pictures.
    fn judge(&mut self, strength: f64, unseen: Vec<f64>) -> bool {
        let seen = SeenPart::of(&unseen, &self.labels, self.classes);
        let part = seen.unseen(self.classes);
        let factor = part.factor();
        let rows = seen.logits.chunks_exact(self.classes).zip(&seen.labels);
        let right = rows.filter(|(logits, label)| argmax(logits) == **label).count();
        let accuracy = right as f64 / seen.labels.len().max(1) as f64;
        let tried = Tried { strength, loss: part.loss(factor), accuracy };
        self.tried.push(tried);
        let is_better = self.best.as_ref().is_none_or(|(best, ..)| tried.loss < best.loss);
        if is_better {
            self.best = Some((tried, factor, unseen));
        }
        is_better
    }

    fn advance_final(&mut self) {
        let rows: Vec<usize> = (0..self.labels.len()).collect();
        let total: f64 = self.weights.iter().sum();
        let strength = self.best.as_ref().map_or(self.grid[0], |(best, ..)| best.strength);
        let objective = Objective {
            x: self.space.points(),
            rows: &rows,
            labels: &self.labels,
            weights: &self.weights,
            classes: self.classes,
            penalty: strength / total,
        };
        let finished =
            iterate(&mut self.search, &objective, FINAL_TOLERANCE, || vec![0.0; objective.size()]);
        let Some(search) = &self.search else { return };
        if finished || search.iterations >= FINAL_ITERATIONS {
            self.result = Some((search.x.clone(), search.value * total));
            self.stage = Stage::Done;
        }
    }

    fn solve(&mut self) -> Result<()> {
        for strength in self.grid.clone() {
            let points = self.space.points();
            let (labels, classes) = (&self.labels, self.classes);
            let solution = match self.options.kind {
                Kind::Lda => {
                    let (features, balanced) = (self.space.features(), self.options.balanced);
                    closed::discriminants(points, labels, classes, features, strength, balanced)
                }
                Kind::Centroid | Kind::Softmax => Some(closed::centroids(points, labels, classes)),
            };
            let solution = solution.ok_or_else(|| {
                let message =
                    "the pictures are too much alike for this strength; give a larger one";
                Error::invalid_option(format!("strength: {message}")).with("option", "strength")
            })?;
            if self.judge(strength, solution.left_out) {
                self.result = Some((solution.parameters, 0.0));
            }
        }
        self.stage = Stage::Done;
        Ok(())
    }

    /// What came out, once [`Training::advance`] has said that nothing is left.
    pub fn finish(self) -> Option<Trained> {
        let (parameters, objective) = self.result?;
        let (best, factor, unseen) = self.best?;
        let factor = if self.options.calibrate { factor } else { 1.0 };
        let dims = self.space.points().cols;
        let mut trained = Trained {
            weights: Vec::with_capacity(self.classes * self.space.features()),
            bias: Vec::with_capacity(self.classes),
            strength: best.strength,
            factor,
            objective,
            threshold: 0.0,
            unseen: unseen.iter().map(|logit| (factor * logit) as f32).collect(),
            tried: self.tried,
        };
        for class in parameters.chunks_exact(dims + 1) {
            let (weights, bias) = self.space.lift(&class[..dims], class[dims]);
            trained.weights.extend(weights.iter().map(|weight| (factor * weight) as f32));
            trained.bias.push((factor * bias) as f32);
        }
        let seen = SeenPart::of(&unseen, &self.labels, self.classes);
        let scaled: Vec<f64> = seen.logits.iter().map(|logit| factor * logit).collect();
        trained.threshold = threshold(&scaled, self.classes, self.options.pass);
        Some(trained)
    }
}

/// The pictures of which there are logits.
struct SeenPart {
    logits: Vec<f64>,
    labels: Vec<usize>,
}

impl SeenPart {
    fn of(unseen: &[f64], labels: &[usize], classes: usize) -> Self {
        let mut part = Self { logits: Vec::new(), labels: Vec::new() };
        for (logits, label) in unseen.chunks_exact(classes).zip(labels) {
            if logits.iter().all(|logit| logit.is_finite()) {
                part.logits.extend(logits);
                part.labels.push(*label);
            }
        }
        part
    }

    fn unseen(&self, classes: usize) -> Unseen<'_> {
        Unseen { logits: &self.logits, labels: &self.labels, classes }
    }
}

/// One iteration of a search that is begun if it has not been. Gives whether it is over.
fn iterate(
    search: &mut Option<Lbfgs>,
    objective: &Objective<'_>,
    tolerance: f64,
    start: impl FnOnce() -> Vec<f64>,
) -> bool {
    let function = &mut |at: &[f64], gradient: &mut [f64]| objective.evaluate(at, gradient);
    match search {
        Some(search) => search.step(function) == Step::Done,
        None => {
            *search = Some(Lbfgs::new(start(), tolerance, function));
            false
        }
    }
}

/// By picture its fold; of more pictures than [`HELD_OUT_PICTURES`] a share is in none.
fn held_out(
    labels: &[usize],
    sessions: &[usize],
    classes: usize,
    options: &TrainOptions,
) -> Vec<usize> {
    let parts = labels.len().div_ceil(HELD_OUT_PICTURES);
    let kept = match parts {
        0 | 1 => vec![0; labels.len()],
        parts => folds::assign(labels, sessions, classes, parts, options.seed),
    };
    let rows: Vec<usize> = (0..labels.len()).filter(|&row| kept[row] == 0).collect();
    let of = |list: &[usize]| rows.iter().map(|&row| list[row]).collect::<Vec<_>>();
    let assigned = folds::assign(&of(labels), &of(sessions), classes, options.folds, options.seed);
    let mut folds = vec![usize::MAX; labels.len()];
    rows.iter().zip(assigned).for_each(|(&row, fold)| folds[row] = fold);
    folds
}

/// What ridge regression on one-hot targets says about each picture when it is left out, `[n, classes]`.
///
/// # Errors
/// Those of [`Training::new`].
pub fn leave_one_out_ridge(
    embeddings: &[f32],
    features: usize,
    labels: &[usize],
    classes: usize,
    l2: f64,
) -> Result<Vec<f64>> {
    let sessions: Vec<usize> = (0..labels.len()).collect();
    check(embeddings, features, labels, &sessions, classes)?;
    if !(l2.is_finite() && l2 > 0.0) {
        return Err(Error::invalid_option(format!("l2: must be above 0, is {l2}")));
    }
    let space = Space::new(embeddings, features)?;
    let solution = closed::ridge(space.points(), labels, classes, l2);
    Ok(solution.map(|solution| solution.left_out).unwrap_or_default())
}

/// More classes than that are no longer told apart by a head on a small network's features.
pub const MAX_CLASSES: usize = 1000;

fn check(
    embeddings: &[f32],
    features: usize,
    labels: &[usize],
    sessions: &[usize],
    classes: usize,
) -> Result<()> {
    let n = labels.len();
    if n.checked_mul(features) != Some(embeddings.len()) || features == 0 || sessions.len() != n {
        return Err(Error::invalid_input(format!(
            "{} values are not {n} embeddings of {features}, or {} sessions not {n}",
            embeddings.len(),
            sessions.len()
        )));
    }
    if classes > MAX_CLASSES {
        return Err(Error::invalid_input(format!(
            "there are {classes} classes; at most {MAX_CLASSES} can be trained"
        ))
        .with("found", classes)
        .with("limit", MAX_CLASSES));
    }
    if let Some(bad) = labels.iter().find(|&&label| label >= classes) {
        return Err(Error::invalid_input(format!("there is no class {bad} among {classes}")));
    }
    if classes < 2 {
        return Err(Error::not_enough_data(format!(
            "there are two classes or more to tell apart, here is {classes}"
        )));
    }
    for class in 0..classes {
        let count = labels.iter().filter(|&&label| label == class).count();
        if count < 2 {
            return Err(Error::not_enough_data(format!(
                "class {class} has {count} pictures; each needs 2 or more"
            ))
            .with("class", class)
            .with("found", count));
        }
    }
    Ok(())
}

fn check_options(options: &TrainOptions) -> Result<()> {
    let wrong = |option: &'static str, message: String| {
        Err(Error::invalid_option(format!("{option}: {message}")).with("option", option))
    };
    let most = if options.kind == Kind::Lda { 1.0 } else { f64::INFINITY };
    if let Some(strength) = options.strength
        && !(strength > 0.0 && strength < most)
    {
        let below = if most == 1.0 { " and below 1" } else { "" };
        return wrong("l2", format!("must be above 0{below}, is {strength}"));
    }
    if !(2..=100).contains(&options.folds) {
        return wrong("folds", format!("must be from 2 to 100, are {}", options.folds));
    }
    if !(options.pass > 0.0 && options.pass <= 1.0) {
        return wrong("reject", format!("must be above 0 and at most 1, is {}", options.pass));
    }
    Ok(())
}

/// `weights * x / |x| + bias` of an embedding, as the exported head computes it but in f64.
pub fn head_logits(weights: &[f32], bias: &[f32], embedding: &[f32]) -> Vec<f64> {
    let squares: f64 = embedding.iter().map(|&value| f64::from(value).powi(2)).sum();
    let inverse = 1.0 / squares.sqrt().max(1e-6);
    let row = |(weights, bias): (&[f32], &f32)| {
        let products = weights.iter().zip(embedding);
        let sum: f64 = products.map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
        sum * inverse + f64::from(*bias)
    };
    weights.chunks_exact(embedding.len()).zip(bias).map(row).collect()
}
