//! Windows over pictures: ONNX's attributes as the model's padding, strides and dilations.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{DataType, Operator, Padding, Result, Tensor, TensorId};

use crate::builder::Builder;
use crate::constant::Constant;
use crate::site::Site;
use crate::view::View;

/// The picture's dimensions in the model's order, by their places in ONNX's.
pub(super) const NHWC: [usize; 4] = [0, 2, 3, 1];

/// Rows, columns.
type Pair = [usize; 2];

/// The attributes of a convolution or a pool over two dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub filter: Pair,
    pub stride: Pair,
    pub dilation: Pair,
    /// Pixels before and after the picture.
    pub before: Pair,
    pub after: Pair,
    /// Of those after the picture, the ones that `ceil_mode` adds to the file's.
    pub extra: Pair,
    pub out: Pair,
    /// TensorFlow Lite's SAME has just these pads.
    is_same: bool,
}

impl Window {
    /// Reads the attributes; `input` is the picture's size, `filter` that of the weights.
    /// For signals of one dimension the first of each pair is a height of 1.
    pub fn read(
        site: &Site<'_>,
        input: Pair,
        filter: Option<Pair>,
        dimensions: usize,
    ) -> Result<Self> {
        let pair = |name: &'static str, default: usize, least: i64| -> Result<Pair> {
            let Some(values) = site.ints(name)?.filter(|values| !values.is_empty()) else {
                return Ok([default; 2]);
            };
            let sizes: Option<Vec<usize>> = (values.iter())
                .map(|&value| usize::try_from(value).ok().filter(|_| value >= least))
                .collect();
            match (sizes.as_deref(), dimensions) {
                (Some(&[height, width]), 2) => Ok([height, width]),
                (Some(&[width]), 1) => Ok([1, width]),
                _ => Err(site.malformed(format!(
                    "attribute {name:?} is {values:?}, must be {dimensions} numbers of {least} or \
                     more"
                ))),
            }
        };
        let named = match site.ints("kernel_shape")? {
            Some(values) if !values.is_empty() => Some(pair("kernel_shape", 1, 1)?),
            _ => None,
        };
        let filter = match (named, filter) {
            (Some(named), Some(found)) if named != found => {
                return Err(site.malformed(format!(
                    "attribute \"kernel_shape\" is {named:?}, the weights have {found:?}"
                )));
            }
            (_, Some(filter)) | (Some(filter), None) => filter,
            (None, None) => return Err(site.malformed("attribute \"kernel_shape\" is missing")),
        };
        let stride = pair("strides", 1, 1)?;
        let dilation = pair("dilations", 1, 1)?;
        let ceil = site.flag("ceil_mode", false)?;
        let mut window = Self {
            filter,
            stride,
            dilation,
            before: [0; 2],
            after: [0; 2],
            extra: [0; 2],
            out: [0; 2],
            is_same: true,
        };
        let auto = site.text("auto_pad", "NOTSET")?;
        let pads = pads(site, dimensions)?;
        for (at, pads) in pads.into_iter().enumerate() {
            window.side(site, at, input, auto, pads, ceil)?;
        }
        Ok(window)
    }

    /// Settles pads and output size of one dimension.
    fn side(
        &mut self,
        site: &Site<'_>,
        at: usize,
        input: Pair,
        auto: &str,
        pads: Pair,
        ceil: bool,
    ) -> Result<()> {
        let taps = [self.filter[at], self.stride[at], self.dilation[at]];
        let side = Side::settle(site, input[at], taps, auto, pads, ceil)?;
        self.is_same &= side.is_same;
        (self.before[at], self.after[at], self.out[at]) = (side.before, side.after, side.out);
        self.extra[at] = side.extra;
        Ok(())
    }

    /// The padding that the model's operators have, if they have this one.
    pub fn padding(&self) -> Option<Padding> {
        match (self.before, self.after) {
            ([0, 0], [0, 0]) => Some(Padding::Valid),
            _ if self.is_same => Some(Padding::Same),
            _ => None,
        }
    }

    /// Pads of a picture `[n, h, w, c]`.
    fn pads(&self) -> [Pair; 4] {
        let side = |at: usize| [self.before[at], self.after[at]];
        [[0, 0], side(0), side(1), [0, 0]]
    }
}

/// One dimension of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Side {
    /// Elements before and after the operand's.
    pub before: usize,
    pub after: usize,
    /// Of those after, the ones that `ceil_mode` adds to the file's.
    pub extra: usize,
    pub out: usize,
    /// TensorFlow Lite's SAME has just these pads.
    is_same: bool,
}

impl Side {
    /// Settles pads and output size of a dimension of `input` elements, for a window of
    /// `[filter, stride, dilation]`.
    pub fn settle(
        site: &Site<'_>,
        input: usize,
        [filter, stride, dilation]: [usize; 3],
        auto: &str,
        pads: Pair,
        ceil: bool,
    ) -> Result<Self> {
        let too_large = || site.malformed("a window is too large");
        // The pixels that a window spans.
        let span = (filter.saturating_sub(1))
            .checked_mul(dilation)
            .and_then(|span| span.checked_add(1))
            .ok_or_else(too_large)?;
        // TensorFlow Lite's SAME: as many outputs as strides begin within the picture.
        let same_out = input.div_ceil(stride.max(1));
        let same_total = same_out
            .saturating_sub(1)
            .checked_mul(stride)
            .and_then(|last| last.checked_add(span))
            .ok_or_else(too_large)?
            .saturating_sub(input);
        let half = same_total / 2;
        let rest = same_total.saturating_sub(half);
        let (before, mut after) = match auto {
            "SAME_UPPER" => (half, rest),
            "SAME_LOWER" => (rest, half),
            "VALID" => (0, 0),
            "NOTSET" => (pads[0], pads[1]),
            _ => return Err(site.unsupported_attribute("auto_pad", auto)),
        };
        let padded = input
            .checked_add(before)
            .and_then(|padded| padded.checked_add(after))
            .ok_or_else(too_large)?;
        let Some(steps) = padded.checked_sub(span) else {
            return Err(
                site.malformed(format!("a window of {span} pixels does not fit {padded} pixels"))
            );
        };
        let mut out = steps.checked_div(stride).unwrap_or(steps).saturating_add(1);
        let last = out.saturating_mul(stride);
        let mut extra = 0;
        // A last window that begins within the picture or its left pad, but leaves it.
        if ceil && !steps.is_multiple_of(stride.max(1)) && last < input.saturating_add(before) {
            out = out.saturating_add(1);
            let needed = last.saturating_add(span);
            extra = needed.saturating_sub(padded);
            after = after.saturating_add(extra);
        }
        let is_same = out == same_out && (before, after) == (half, rest);
        Ok(Self { before, after, extra, out, is_same })
    }
}

/// The attribute `pads`, `[before, after]` for each of two dimensions.
pub(super) fn pads(site: &Site<'_>, dimensions: usize) -> Result<[Pair; 2]> {
    let Some(values) = site.ints("pads")?.filter(|values| !values.is_empty()) else {
        return Ok([[0; 2]; 2]);
    };
    let sizes: Option<Vec<usize>> =
        values.iter().map(|&value| usize::try_from(value).ok()).collect();
    match (sizes.as_deref(), dimensions) {
        (Some(&[top, left, bottom, right]), 2) => Ok([[top, bottom], [left, right]]),
        (Some(&[left, right]), 1) => Ok([[0, 0], [left, right]]),
        _ => Err(site.unsupported_attribute("pads", values)),
    }
}

/// A value of three or four dimensions as a picture; signals get a height of 1.
pub(super) fn as_picture(site: &Site<'_>, view: &View) -> Result<(View, [usize; 4])> {
    let picture = match view.dims()[..] {
        [_, _, _, _] => view.clone(),
        [n, c, w] => view
            .reshape(&[n, c, 1, w])
            .ok_or_else(|| site.malformed("a signal cannot be seen as a picture"))?,
        _ => {
            return Err(site.unsupported(format!(
                "the operand has shape {:?}; pictures [n, c, h, w] and signals [n, c, w] are \
                 supported",
                view.dims()
            )));
        }
    };
    match picture.dims()[..] {
        [n, c, h, w] => Ok((picture, [n, c, h, w])),
        _ => Err(site.malformed("a picture without four dimensions")),
    }
}

/// A new picture of `[n, h, w, c]` as a value with as many dimensions as the operand had.
pub(super) fn from_picture(tensor: TensorId, shape: [usize; 4], rank: usize) -> View {
    let picture = View::new(tensor, &shape, &NHWC);
    let [n, _, w, c] = shape;
    match rank {
        3 => picture.reshape(&[n, c, w]).unwrap_or(picture),
        _ => picture,
    }
}

impl Builder {
    /// Pads a picture `[n, h, w, c]` as a window asks for: with zeros (the zero point), or with
    /// what no maximum ever is.
    pub(super) fn pad_picture(
        &mut self,
        picture: TensorId,
        window: &Window,
        for_maximum: bool,
    ) -> Result<TensorId> {
        let pads = window.pads();
        let Tensor { name, dtype, shape, quantization, .. } = self.tensor(picture).clone();
        let padded: Vec<usize> = (shape.iter().zip(pads))
            .map(|(&size, [before, after])| size.saturating_add(before).saturating_add(after))
            .collect();
        let amounts: Vec<usize> = pads.as_flattened().to_vec();
        let paddings = self.add_int32(&format!("{name}/paddings"), vec![4, 2], &amounts)?;
        let padded_name = format!("{name}/padded");
        if !for_maximum {
            return self.emit_like(Operator::Pad, &[picture, paddings], &padded_name, &padded);
        }
        let least = match dtype {
            DataType::UInt8 => vec![0],
            DataType::Int8 => i8::MIN.to_le_bytes().to_vec(),
            _ => f32::MIN.to_le_bytes().to_vec(),
        };
        let least = Constant::new(dtype, vec![1], least);
        let value = self.add_constant(&format!("{name}/least"), &least)?;
        self.model.tensors[value.0].quantization = quantization;
        self.emit_like(Operator::PadV2, &[picture, paddings, value], &padded_name, &padded)
    }
}
