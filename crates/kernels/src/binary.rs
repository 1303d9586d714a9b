//! Operators of two operands beside ADD and MUL: SUB, DIV, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE,
//! POW, FLOOR_DIV, FLOOR_MOD, PRELU; comparisons and logical operators; SELECT.
//!
//! In float and integers they are what their names say. 8-bit SUB is
//! [`add_quantized`](crate::add::add_quantized); 8-bit MAXIMUM and MINIMUM take operands of one
//! scale, so they are [`maximum`] and [`minimum`]; the others' arithmetic is in
//! [`reference::binary_quantized`](crate::reference::binary_quantized).

use crate::add::add_f32;
use crate::broadcast::Broadcast;
use crate::loops::{Loop, Loops, MAX_RANK};
use crate::mul::mul_f32;
use crate::unary::clamp_all;

/// An operator of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
    /// `a / b`; integers are truncated towards zero.
    Div,
    /// The larger.
    Maximum,
    /// The smaller.
    Minimum,
    /// `(a - b)^2`.
    SquaredDifference,
    /// `a^b`.
    Pow,
    /// The angle of the point `(b, a)`.
    Atan2,
    /// `a / b`, rounded towards minus infinity.
    FloorDiv,
    /// `a - b * floor(a / b)`.
    FloorMod,
    /// `a` where not negative, else `a * b`.
    Prelu,
}

/// Float operator, clamped to `activation`.
pub fn binary_f32(
    operator: Binary,
    broadcast: &Broadcast,
    activation: [f32; 2],
    first: &[f32],
    second: &[f32],
    out: &mut [f32],
) {
    let apply = |out: &mut [f32], f: fn(f32, f32) -> f32| {
        broadcast.apply(first, second, out, f);
    };
    match operator {
        Binary::Add => return add_f32(broadcast, activation, first, second, out),
        Binary::Sub => broadcast.apply(first, second, out, |a, b| a - b),
        Binary::Mul => return mul_f32(broadcast, activation, first, second, out),
        Binary::Div => broadcast.apply(first, second, out, |a, b| a / b),
        Binary::Maximum => maximum(broadcast, first, second, out),
        Binary::Minimum => minimum(broadcast, first, second, out),
        Binary::SquaredDifference => {
            broadcast.apply(first, second, out, |a, b| (a - b) * (a - b));
        }
        Binary::Prelu => {
            broadcast.apply(first, second, out, |a, b| if a < 0.0 { a * b } else { a })
        }
        Binary::Pow => apply(out, libm::powf),
        Binary::Atan2 => apply(out, libm::atan2f),
        Binary::FloorDiv => apply(out, |a, b| (a / b).floor()),
        Binary::FloorMod => apply(out, |a, b| {
            let rest = libm::fmodf(a, b);
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
        }),
    }
    clamp_all(out, activation);
}

/// The larger of each pair.
pub fn maximum<T: Copy + PartialOrd>(
    broadcast: &Broadcast,
    first: &[T],
    second: &[T],
    out: &mut [T],
) {
    broadcast.apply(first, second, out, |a, b| if a > b { a } else { b });
}

/// The smaller of each pair.
pub fn minimum<T: Copy + PartialOrd>(
    broadcast: &Broadcast,
    first: &[T],
    second: &[T],
    out: &mut [T],
) {
    broadcast.apply(first, second, out, |a, b| if a < b { a } else { b });
}

/// Integers that index and shape arithmetic uses, and plain ones of 8 and 16 bits.
pub trait Integer: Copy + Ord + Into<i64> + sealed::Sealed {
    /// The low bits of `x`.
    fn wrapped(x: i64) -> Self;
}

macro_rules! integer {
    ($($type:ty),*) => {
        $(
            impl sealed::Sealed for $type {}
            impl Integer for $type {
                fn wrapped(x: i64) -> $type {
                    x as $type
                }
            }
        )*
    };
}
integer!(i8, i16, i32, i64);

/// The operator of 64-bit integers, wrapping on overflow, whose low bits are the result of narrower
/// ones; `None` for a division by zero or a negative exponent.
#[inline(never)]
fn integers(operator: Binary, a: i64, b: i64) -> Option<i64> {
    Some(match operator {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Maximum => a.max(b),
        Binary::Minimum => a.min(b),
        Binary::SquaredDifference => a.wrapping_sub(b).wrapping_mul(a.wrapping_sub(b)),
        Binary::Pow => a.wrapping_pow(u32::try_from(b).ok()?),
        Binary::Prelu if a < 0 => a.wrapping_mul(b),
        Binary::Prelu => a,
        Binary::Atan2 => return None,
        _ if b == 0 => return None,
        Binary::Div => a.wrapping_div(b),
        Binary::FloorDiv => {
            let quotient = a.wrapping_div(b);
            let is_below = a.wrapping_rem(b) != 0 && (a < 0) != (b < 0);
            quotient - i64::from(is_below)
        }
        Binary::FloorMod => {
            let rest = a.wrapping_rem(b);
            if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
        }
    })
}

mod sealed {
    pub trait Sealed {}
}

/// Integer operator. `false` where an operand pair has no result: a division by zero or a negative
/// exponent.
#[must_use]
pub fn binary_integer<T: Integer>(
    operator: Binary,
    broadcast: &Broadcast,
    first: &[T],
    second: &[T],
    out: &mut [T],
) -> bool {
    let is_defined = core::cell::Cell::new(true);
    broadcast.apply(first, second, out, |a, b| {
        let result = integers(operator, a.into(), b.into());
        is_defined.set(is_defined.get() & result.is_some());
        result.map_or(a, T::wrapped)
    });
    is_defined.get()
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `a == b`.
    Equal,
    /// `a != b`.
    NotEqual,
    /// `a < b`.
    Less,
    /// `a <= b`.
    LessEqual,
    /// `a > b`.
    Greater,
    /// `a >= b`.
    GreaterEqual,
}

/// Compares; `out` holds 1 for true.
pub fn compare<T: Copy + PartialOrd>(
    comparison: Comparison,
    broadcast: &Broadcast,
    first: &[T],
    second: &[T],
    out: &mut [u8],
) {
    let f: fn(&T, &T) -> bool = match comparison {
        Comparison::Equal => T::eq,
        Comparison::NotEqual => T::ne,
        Comparison::Less => T::lt,
        Comparison::LessEqual => T::le,
        Comparison::Greater => T::gt,
        Comparison::GreaterEqual => T::ge,
    };
    broadcast.apply(first, second, out, |a, b| u8::from(f(&a, &b)));
}

/// LOGICAL_AND of elements that are true where not 0.
pub fn logical_and(broadcast: &Broadcast, first: &[u8], second: &[u8], out: &mut [u8]) {
    broadcast.apply(first, second, out, |a, b| u8::from(a != 0 && b != 0));
}

/// LOGICAL_OR of elements that are true where not 0.
pub fn logical_or(broadcast: &Broadcast, first: &[u8], second: &[u8], out: &mut [u8]) {
    broadcast.apply(first, second, out, |a, b| u8::from(a != 0 || b != 0));
}

/// LOGICAL_NOT of elements that are true where not 0.
pub fn logical_not(input: &[u8], out: &mut [u8]) {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = u8::from(x == 0);
    }
}

/// SELECT_V2: one of two operands by a condition, all three broadcast.
#[derive(Clone, Copy, Debug)]
pub struct Select {
    rows: Loops<3>,
    row: Loop<3>,
}

impl Select {
    /// For a condition and two operands of these shapes; `None` where they do not fit, or have
    /// more than [`MAX_RANK`] dimensions.
    pub fn new(condition: &[usize], first: &[usize], second: &[usize]) -> Option<Self> {
        let shapes = [condition, first, second];
        let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
        if rank > MAX_RANK {
            return None;
        }
        let (mut loops, mut strides) = (Loops::new(), [1; 3]);
        for axis in 1..=rank {
            let lens = shapes.map(|shape| shape.len().checked_sub(axis).map_or(1, |at| shape[at]));
            let len = lens.iter().copied().find(|&len| len != 1).unwrap_or(1);
            if lens.iter().any(|&l| l != 1 && l != len) {
                return None;
            }
            loops.surround(
                len,
                core::array::from_fn(|i| if lens[i] == 1 { 0 } else { strides[i] }),
            )?;
            strides = core::array::from_fn(|i| strides[i] * lens[i]);
        }
        let row = loops.take_innermost();
        Some(Self { rows: loops, row })
    }

    /// Output elements.
    pub fn out_len(&self) -> usize {
        self.rows.count() * self.row.len
    }

    /// `out = if condition { first } else { second }`; a condition is true where not 0.
    pub fn apply<T: Copy>(&self, condition: &[u8], first: &[T], second: &[T], out: &mut [T]) {
        let mut at = 0;
        let Loop { len, strides: [c_step, a_step, b_step] } = self.row;
        self.rows.for_each(|[c, a, b]| {
            for (i, out) in out[at..at + len].iter_mut().enumerate() {
                let is_first = condition[c + i * c_step] != 0;
                *out = if is_first { first[a + i * a_step] } else { second[b + i * b_step] };
            }
            at += len;
        });
    }
}
