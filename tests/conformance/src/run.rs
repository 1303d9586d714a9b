//! Runs a case and judges the results.

use std::fmt;

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, Error, ErrorCode, tflite};

use crate::archive::{Answer, Array, Case};

/// The column of float32 operators with 8-bit weights.
pub const HYBRID: &str = "hybrid";

/// Float results may differ by this much of the larger of the element itself and the tensor's
/// largest one: sums in another order, other approximations of exp and its like.
pub const FLOAT_TOLERANCE: f64 = 1e-5;

/// The tensor's largest element counts up to here, so that one huge element excuses no small one.
pub const FLOAT_CEILING: f64 = 1e3;

/// Quantised results may differ by this many steps and still be near.
pub const STEP: f64 = 1.0;

/// How near the results are. The order is from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Every bit is that of TensorFlow Lite with XNNPACK.
    Equal,
    /// Float within [`FLOAT_TOLERANCE`], quantised within [`STEP`].
    Near,
    /// Farther, but no farther than TensorFlow Lite's reference kernels are.
    Spread,
    /// Refused when loaded, by an error that says so.
    Unsupported,
    /// Anything else.
    Wrong,
}

impl Status {
    /// All, from good to bad.
    pub const ALL: [Self; 5] =
        [Self::Equal, Self::Near, Self::Spread, Self::Unsupported, Self::Wrong];

    /// The word in `status.tsv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Near => "near",
            Self::Spread => "spread",
            Self::Unsupported => "unsupported",
            Self::Wrong => "wrong",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What came out of a case.
pub struct Outcome {
    /// How near.
    pub status: Status,
    /// The largest difference, or the error.
    pub detail: String,
}

/// Runs a case; `None` where TensorFlow Lite itself runs no such model.
pub fn run(case: &Case) -> Option<Outcome> {
    let default = match (&case.default, &case.reference) {
        (Answer::Tensors(tensors), _) | (_, Answer::Tensors(tensors)) => tensors,
        _ => return None,
    };
    let found = match results(case) {
        Ok(found) => found,
        Err(error) => {
            let status = match error.code {
                ErrorCode::UnsupportedOperator | ErrorCode::UnsupportedType => Status::Unsupported,
                _ => Status::Wrong,
            };
            return Some(Outcome { status, detail: error.to_string() });
        }
    };
    Some(judge(&found, default, &case.reference))
}

/// Our results.
fn results(case: &Case) -> Result<Vec<Array>, Error> {
    let model = tflite::read(Bytes::from(case.model.clone()))?;
    let mut session = Session::new(model, &SessionOptions::default())?;
    for (i, input) in case.inputs.iter().enumerate() {
        session.input_bytes_mut(i)?.copy_from_slice(input);
    }
    // Twice: a run must leave nothing behind that changes the next.
    session.run()?;
    session.run()?;
    (0..session.outputs().len())
        .map(|i| {
            let bytes = session.output_bytes(i)?.to_vec();
            let tensor = &session.outputs()[i];
            Ok(Array { dtype: tensor.dtype.tensor_type(), shape: tensor.shape.clone(), bytes })
        })
        .collect()
}

fn judge(found: &[Array], default: &[Array], reference: &Answer) -> Outcome {
    let wrong = |detail: String| Outcome { status: Status::Wrong, detail };
    if found.len() != default.len() {
        return wrong(format!("{} results, should be {}", found.len(), default.len()));
    }
    let mut worst = Outcome { status: Status::Equal, detail: String::new() };
    for (i, (found, default)) in found.iter().zip(default).enumerate() {
        if (found.dtype, &found.shape) != (default.dtype, &default.shape) {
            return wrong(format!(
                "result {i} is type {} {:?}, should be type {} {:?}",
                found.dtype, found.shape, default.dtype, default.shape
            ));
        }
        let reference = match reference {
            Answer::Tensors(tensors) => tensors.get(i),
            Answer::Refused(_) => None,
        };
        let outcome = judge_tensor(found, default, reference);
        if outcome.status > worst.status {
            worst = outcome;
        }
    }
    worst
}

fn judge_tensor(found: &Array, default: &Array, reference: Option<&Array>) -> Outcome {
    let (ours, mut theirs) = (numbers(found), numbers(default));
    // XNNPACK's LOGISTIC makes NaN of numbers far below 0; the reference kernels know better.
    if let Some(reference) = reference.filter(|reference| reference.shape == default.shape) {
        for (theirs, reference) in theirs.iter_mut().zip(numbers(reference)) {
            if theirs.is_nan() {
                *theirs = reference;
            }
        }
    }
    let same_number = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
    let differing = ours.iter().zip(&theirs).filter(|(a, b)| !same_number(**a, **b)).count();
    // Zeros of either sign are one number, and NaN is NaN; anything else counts bit by bit.
    if differing == 0 {
        return Outcome { status: Status::Equal, detail: String::new() };
    }
    let float = matches!(found.dtype, 0 | 1);
    let quantised = matches!(found.dtype, 3 | 7 | 9);
    let magnitude = |values: &[f64]| {
        values.iter().filter(|x| x.is_finite()).fold(0.0f64, |most, x| most.max(x.abs()))
    };
    let largest = magnitude(&theirs).min(FLOAT_CEILING);
    let allowed = |expected: f64| match (float, quantised) {
        (true, _) => FLOAT_TOLERANCE * expected.abs().max(largest),
        (_, true) => STEP,
        _ => 0.0,
    };
    let difference = |a: f64, b: f64| if same_number(a, b) { 0.0 } else { (a - b).abs() };
    let mut near = true;
    let (mut most, mut at) = (-1.0, 0);
    for (i, (&a, &b)) in ours.iter().zip(&theirs).enumerate() {
        // The difference of an infinity or NaN to anything else is not below any bound.
        let distance = difference(a, b);
        near &= distance <= allowed(b) && !distance.is_nan();
        if distance.is_nan() || distance > most {
            (most, at) = (distance, i);
        }
    }
    let spread = reference.filter(|reference| reference.shape == default.shape).map(|reference| {
        let pairs = numbers(reference);
        let between = pairs.iter().zip(&theirs).map(|(&a, &b)| difference(a, b));
        between.fold(0.0, |most: f64, distance| if distance > most { distance } else { most })
    });
    let status = match spread {
        _ if near => Status::Near,
        // But for what a float of either is rounded by.
        Some(spread) if most <= spread * 1.00001 => Status::Spread,
        _ => Status::Wrong,
    };
    let reference_text = match reference {
        Some(reference) => format!(", the reference kernels give {}", numbers(reference)[at]),
        None => String::new(),
    };
    let detail = format!(
        "{differing} of {} differ, most at {at}: {} should be {}{reference_text}",
        ours.len(),
        ours[at],
        theirs[at]
    );
    Outcome { status, detail }
}

/// The elements as numbers; int64 beyond 2^53 do not occur.
fn numbers(array: &Array) -> Vec<f64> {
    let bytes = &array.bytes;
    match array.dtype {
        0 => bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        1 => bytes.as_chunks().0.iter().map(|b| half(u16::from_le_bytes(*b))).collect(),
        2 => bytes.as_chunks().0.iter().map(|b| f64::from(i32::from_le_bytes(*b))).collect(),
        4 => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
        7 => bytes.as_chunks().0.iter().map(|b| f64::from(i16::from_le_bytes(*b))).collect(),
        9 => bytes.iter().map(|&b| f64::from(b as i8)).collect(),
        3 | 6 => bytes.iter().map(|&b| f64::from(b)).collect(),
        other => panic!("elements of type {other}"),
    }
}

/// A binary16 number.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}
