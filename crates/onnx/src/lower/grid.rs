//! GridSample and AffineGrid.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{DataType, Operator, Result};

use super::activation::{ADD, SUB};
use super::calculator::Calculator;
use crate::constant::{Constant, elements};
use crate::import::{Importer, TensorValue};
use crate::site::Site;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Border {
    Zeros,
    Nearest,
    Reflected,
}

/// One of the elements of a dimension that a sample is the sum of: which, as float, and its weight.
struct Tap {
    index: TensorValue,
    weight: Option<TensorValue>,
}

/// How a dimension is sampled.
struct Axis {
    size: usize,
    align_corners: bool,
    border: Border,
}

/// GridSample: elements at places from -1 to 1, `[n, ..., dimensions]`, the last dimension first.
pub(super) fn grid_sample<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mode = match site.text("mode", "linear")? {
        "nearest" => Mode::Nearest,
        "linear" | "bilinear" => Mode::Linear,
        "cubic" | "bicubic" => Mode::Cubic,
        other => return Err(site.unsupported_attribute("mode", other)),
    };
    let border = match site.text("padding_mode", "zeros")? {
        "zeros" => Border::Zeros,
        "border" => Border::Nearest,
        "reflection" => Border::Reflected,
        other => return Err(site.unsupported_attribute("padding_mode", other)),
    };
    let align_corners = site.flag("align_corners", false)?;
    let mut c = Calculator::new(importer, site)?;
    let (x, grid) = (c.input(0)?, c.input(1)?);
    let (dims, grid_dims) = (x.view.dims(), grid.view.dims());
    let [n, channels, sizes @ ..] = &dims[..] else {
        return Err(site.malformed(format!("shape {dims:?} is no [n, c, ...]")));
    };
    let (n, channels, rank) = (*n, *channels, sizes.len());
    let fits = grid_dims.len() == rank.saturating_add(2)
        && grid_dims.first() == Some(&n)
        && grid_dims.last() == Some(&rank)
        && (1..=3).contains(&rank)
        && !sizes.contains(&0);
    if !fits || !x.is_real() {
        return Err(site.unsupported(format!("a grid of shape {grid_dims:?} for {dims:?}")));
    }
    let out = grid_dims.get(1..rank.saturating_add(1)).unwrap_or_default().to_vec();
    let points: usize = elements(&out)?;
    let grid = c.reshape(&grid, &[n, points, rank])?;
    // Each combination of taps: the place among all elements, and the weight.
    let mut taps: Vec<Tap> = Vec::new();
    for (at, &size) in sizes.iter().enumerate() {
        let place = rank.saturating_sub(at).saturating_sub(1);
        let place = c.part(&grid, 2, place, 1, 1)?;
        let place = c.reshape(&place, &[n, points])?;
        let axis = Axis { size, align_corners, border };
        let own = axis.taps(&mut c, &place, mode)?;
        if taps.is_empty() {
            taps = own;
            continue;
        }
        let mut both = Vec::with_capacity(taps.len().saturating_mul(own.len()));
        for outer in &taps {
            let start = c.times(&outer.index, size as f32)?;
            for inner in &own {
                let weight = match (&outer.weight, &inner.weight) {
                    (Some(a), Some(b)) => Some(c.mul(a, b)?),
                    (a, b) => a.as_ref().or(b.as_ref()).cloned(),
                };
                both.push(Tap { index: c.add(&start, &inner.index)?, weight });
            }
        }
        taps = both;
    }
    let count: usize = elements(sizes)?;
    if count > 1 << 24 {
        return Err(site.unsupported(format!("{count} elements, whose places float32 lacks")));
    }
    // Channels last: rows that are looked up.
    let flat = c.reshape(&x, &[n, channels, count])?;
    let rows = c.transpose(&flat, &[0, 2, 1]);
    let mut sum: Option<TensorValue> = None;
    for tap in &taps {
        let index = c.cast(&tap.index, DataType::Int32)?;
        let mut term = c.look_up_rows(&rows, &index, 1)?;
        if let Some(weight) = &tap.weight {
            let weight = c.reshape(weight, &[n, points, 1])?;
            term = c.mul(&term, &weight)?;
        }
        sum = Some(match sum {
            None => term,
            Some(sum) => c.add(&sum, &term)?,
        });
    }
    let Some(sum) = sum else { return Err(site.malformed("no dimensions")) };
    let sum = c.transpose(&sum, &[0, 2, 1]);
    let result = c.reshape(&sum, &[&[n, channels], &out[..]].concat())?;
    c.give(0, result);
    Ok(())
}

impl Axis {
    fn last(&self) -> f32 {
        self.size.saturating_sub(1) as f32
    }

    fn taps(
        &self,
        c: &mut Calculator<'_, '_>,
        place: &TensorValue,
        mode: Mode,
    ) -> Result<Vec<Tap>> {
        let size = self.size as f32;
        let place = if self.align_corners {
            let place = c.plus(place, 1.0)?;
            c.times(&place, self.last() / 2.0)?
        } else {
            let place = c.plus(place, 1.0)?;
            let place = c.times(&place, size)?;
            let place = c.plus(&place, -1.0)?;
            c.times(&place, 0.5)?
        };
        let place = if mode == Mode::Nearest { c.map(Operator::Round, &place)? } else { place };
        let place = match self.border {
            Border::Zeros => place,
            Border::Nearest => self.clamped(c, &place)?,
            Border::Reflected => self.reflected(c, &place)?,
        };
        if mode == Mode::Nearest {
            return Ok(vec![self.tap(c, place, None)?]);
        }
        let first = c.map(Operator::Floor, &place)?;
        let behind = c.pair(SUB, &place, &first)?;
        let mut taps = Vec::new();
        if mode == Mode::Linear {
            let one = c.number(1.0, DataType::Float32)?;
            let before = c.sub(&one, &behind)?;
            let second = c.plus(&first, 1.0)?;
            taps.push(self.tap(c, first, Some(before))?);
            taps.push(self.tap(c, second, Some(behind))?);
            return Ok(taps);
        }
        // Keys' cubic with a = -0.75, of the distances 1 + t, t, 1 - t, 2 - t.
        const A: f32 = -0.75;
        for step in [-1.0f32, 0.0, 1.0, 2.0] {
            let index = c.plus(&first, step)?;
            let distance = c.with(SUB, &behind, step)?;
            let distance = c.map(Operator::Abs, &distance)?;
            let weight = if step == 0.0 || step == 1.0 {
                c.polynomial(&distance, &[A + 2.0, -(A + 3.0), 0.0, 1.0])?
            } else {
                c.polynomial(&distance, &[A, -5.0 * A, 8.0 * A, -4.0 * A])?
            };
            taps.push(self.tap(c, index, Some(weight))?);
        }
        Ok(taps)
    }

    /// An index within the dimension, and its weight: 0 for what lies outside, if that is zeros.
    fn tap(
        &self,
        c: &mut Calculator<'_, '_>,
        index: TensorValue,
        weight: Option<TensorValue>,
    ) -> Result<Tap> {
        match self.border {
            Border::Zeros => {
                let inside = self.clamped(c, &index)?;
                let is_inside = c.test(Operator::Equal, &inside, &index)?;
                let mask = c.cast(&is_inside, DataType::Float32)?;
                let weight = match weight {
                    Some(weight) => c.mul(&weight, &mask)?,
                    None => mask,
                };
                Ok(Tap { index: inside, weight: Some(weight) })
            }
            Border::Nearest => Ok(Tap { index: self.clamped(c, &index)?, weight }),
            Border::Reflected => {
                let index = self.reflected(c, &index)?;
                Ok(Tap { index: self.clamped(c, &index)?, weight })
            }
        }
    }

    fn clamped(&self, c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
        let x = c.with(Operator::Maximum, x, 0.0)?;
        c.with(Operator::Minimum, &x, self.last())
    }

    /// To and fro between the centres of the outer elements, or their outer edges.
    fn reflected(&self, c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
        let (start, range) =
            if self.align_corners { (0.0, self.last()) } else { (-0.5, self.size as f32) };
        if range == 0.0 {
            return self.clamped(c, x);
        }
        let distance = c.with(SUB, x, start)?;
        let distance = c.map(Operator::Abs, &distance)?;
        let turns = c.times(&distance, 0.5 / range)?;
        let turns = c.map(Operator::Floor, &turns)?;
        let whole = c.times(&turns, 2.0 * range)?;
        let rest = c.sub(&distance, &whole)?;
        let twice = c.number(2.0 * range, DataType::Float32)?;
        let back = c.sub(&twice, &rest)?;
        let place = c.pair(Operator::Minimum, &rest, &back)?;
        c.with(ADD, &place, start)
    }
}

/// AffineGrid for a constant size.
pub(super) fn affine_grid<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let sizes = importer.optional_integers(site, 1)?.unwrap_or_default();
    let sizes: Result<Vec<usize>> = sizes.iter().map(|&size| site.size(size, "a size")).collect();
    let sizes = sizes?;
    let align_corners = site.flag("align_corners", false)?;
    let [n, _, out @ ..] = &sizes[..] else {
        return Err(site.malformed(format!("a size of {} dimensions", sizes.len())));
    };
    let rank = out.len();
    if out.contains(&0) || (align_corners && out.contains(&1)) {
        return Err(site.unsupported(format!("a grid of {out:?} points, corners aligned")));
    }
    let points = elements(out)?;
    let width = rank.saturating_add(1);
    importer.builder.budget.take(points, width.saturating_mul(4))?;
    importer.builder.budget.work(points)?;
    // The last dimension first, and a 1.
    let mut base = Vec::with_capacity(points.saturating_mul(width));
    for point in 0..points {
        let mut rest = point;
        for &size in out.iter().rev() {
            let at = rest.checked_rem(size).unwrap_or(0) as f32;
            rest = rest.checked_div(size).unwrap_or(0);
            let size = size as f32;
            base.push(match align_corners {
                true => 2.0 * at / (size - 1.0) - 1.0,
                false => (2.0 * at + 1.0) / size - 1.0,
            });
        }
        base.push(1.0);
    }
    let mut c = Calculator::new(importer, site)?;
    let theta = c.input(0)?;
    if theta.view.dims() != [*n, rank, width] {
        return Err(site.malformed(format!("{:?} for {out:?} points", theta.view.dims())));
    }
    let base = c.constant(&Constant::from_floats(vec![1, points, width], &base))?;
    let turned = c.transpose(&theta, &[0, 2, 1]);
    let grid = c.product(&base, &turned)?;
    let grid = c.reshape(&grid, &[&[*n], out, &[rank]].concat())?;
    c.give(0, grid);
    Ok(())
}
