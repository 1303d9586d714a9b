//! From a pixel byte to a tensor element: what the tensor's type and the options make of it.

use achado_model::{DataType, Error, ErrorCode, Result, Tensor};

use super::elements;
use super::shift::Shift;

/// `(x - mean) / std` in the tensor's channel order, one or one a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Normalise<'a> {
    pub mean: &'a [f32],
    pub std: &'a [f32],
}

impl Normalise<'_> {
    fn channel(&self, channel: usize) -> (f32, f32) {
        let pick = |values: &[f32]| values[if values.len() == 1 { 0 } else { channel }];
        (pick(self.mean), pick(self.std))
    }
}

/// How bytes become elements.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Table {
    /// uint8 and int8 tensors that take the bytes as they are, or nearly.
    Shift(Shift),
    /// Other uint8 and int8 tensors (int8 as its two's complement byte): one table a channel.
    Bytes(Vec<[u8; 256]>),
    /// float32 tensors.
    Floats(Box<Floats>),
}

/// `(x - mean) / std` for blocks of elements: 12 of them end with a pixel, be its channels 1 or 3.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Floats {
    pub mean: [f32; 12],
    pub std: [f32; 12],
}

/// Normalisations that models are trained with, as `(mean, std)`: 0..1, 0..255, -1..1, (x-127)/128,
/// -128..127. An int8 input without metadata is taken as raw pixels if its scale fits one of them.
const USUAL: [(f32, f32); 6] =
    [(0.0, 255.0), (0.0, 1.0), (127.5, 127.5), (127.0, 128.0), (128.0, 128.0), (128.0, 1.0)];

/// int8 tensors that take the bytes less 128.
const LESS_128: Table = Table::Shift(Shift::none(true));

impl Table {
    /// The table of an input tensor.
    ///
    /// - float32: `(x - mean) / std` by the caller's values, else by the metadata's.
    /// - uint8: the pixel byte itself, as MediaPipe and the TFLite Task Library feed it, whatever
    ///   the metadata says: such a model was quantised over the whole range of pixels.
    /// - int8: `x - 128`, the same convention shifted, where normalising and quantising agree with
    ///   it within one step for every `x`; else normalised and quantised.
    /// - uint8 and int8 with values by the caller: always normalised and quantised.
    ///
    /// Quantising is TFLite's QUANTIZE: `round(x / scale) + zero_point`, halves away from zero,
    /// clamped.
    ///
    /// # Errors
    /// `METADATA_MISSING` if nobody says how to normalise, `INVALID_OPTION` if normalising by the
    /// caller's values overflows, `UNSUPPORTED_TYPE` for other tensors.
    pub fn new(
        tensor: &Tensor,
        channels: usize,
        caller: Option<Normalise<'_>>,
        metadata: Option<Normalise<'_>>,
    ) -> Result<Self> {
        match tensor.dtype {
            DataType::Float32 => {
                let normalise = caller.or(metadata).ok_or_else(|| missing(tensor))?;
                Self::floats(channels, normalise)
            }
            DataType::UInt8 => match caller {
                None => Ok(Self::Shift(Shift::none(false))),
                Some(normalise) => Self::quantised(tensor, channels, normalise, 0.0),
            },
            DataType::Int8 => match (caller, metadata) {
                (Some(normalise), _) => Self::quantised(tensor, channels, normalise, -128.0),
                (None, Some(normalise)) => {
                    let (scale, zero_point) = scale_of(tensor)?;
                    let raw = (0..channels)
                        .all(|channel| is_raw(normalise.channel(channel), scale, zero_point));
                    if raw {
                        Ok(LESS_128)
                    } else {
                        Self::quantised(tensor, channels, normalise, -128.0)
                    }
                }
                (None, None) => {
                    let (scale, zero_point) = scale_of(tensor)?;
                    if USUAL.iter().any(|&usual| is_raw(usual, scale, zero_point)) {
                        Ok(LESS_128)
                    } else {
                        Err(missing(tensor))
                    }
                }
            },
            other => Err(Error::unsupported_type(format!(
                "input tensor {:?} is {other}; pictures go into float32, uint8 and int8 tensors",
                tensor.name
            ))
            .with("tensor", tensor.name.as_str())),
        }
    }

    fn floats(channels: usize, normalise: Normalise<'_>) -> Result<Self> {
        for channel in 0..channels {
            reals(normalise.channel(channel))?;
        }
        let values = std::array::from_fn(|i| normalise.channel(i % channels));
        let [mean, std] = [values.map(|(mean, _)| mean), values.map(|(_, std)| std)];
        Ok(Self::Floats(Box::new(Floats { mean, std })))
    }

    /// What bytes 0 and 255 of a channel become, in the tensor's real numbers.
    pub fn values(&self, tensor: &Tensor, channel: usize) -> [f64; 2] {
        let real = |element: u8| {
            let (scale, zero_point) = scale_of(tensor).unwrap_or((1.0, 0));
            let signed = i16::from(element as i8);
            let q = if tensor.dtype == DataType::Int8 { signed } else { i16::from(element) };
            f64::from(scale) * (f64::from(q) - f64::from(zero_point))
        };
        [0, 255].map(|x: u8| match self {
            Self::Floats(floats) => {
                f64::from((f32::from(x) - floats.mean[channel]) / floats.std[channel])
            }
            Self::Shift(shift) => real(shift.element(x)),
            Self::Bytes(tables) => real(tables[channel % tables.len()][usize::from(x)]),
        })
    }

    /// Bytes of an element.
    pub fn element_bytes(&self) -> usize {
        if matches!(self, Self::Floats(_)) { 4 } else { 1 }
    }

    /// Makes elements of the bytes of whole pixels; `out` has room for as many.
    pub fn convert(&self, colours: &[u8], out: &mut [u8]) {
        match self {
            Self::Shift(shift) => elements::shifted(shift, colours, out),
            Self::Bytes(tables) => elements::looked_up(tables, colours, out),
            Self::Floats(floats) => elements::floats(floats, colours, out),
        }
    }

    /// `low` is the type's least value.
    fn quantised(
        tensor: &Tensor,
        channels: usize,
        normalise: Normalise<'_>,
        low: f32,
    ) -> Result<Self> {
        let (scale, zero_point) = scale_of(tensor)?;
        let mut tables = vec![[0; 256]; channels];
        for (channel, table) in tables.iter_mut().enumerate() {
            for (entry, real) in table.iter_mut().zip(reals(normalise.channel(channel))?) {
                let quantised = (real / scale).round() + zero_point as f32;
                // In range, so the cast is exact; int8 becomes its two's complement byte.
                *entry = quantised.clamp(low, low + 255.0) as i16 as u8;
            }
        }
        let are_one = tables.iter().all(|table| *table == tables[0]);
        let shift = Shift::of(&tables[0], low < 0.0).filter(|_| are_one);
        Ok(shift.map_or(Self::Bytes(tables), Self::Shift))
    }
}

/// The normalised value of each byte, all finite.
fn reals((mean, std): (f32, f32)) -> Result<[f32; 256]> {
    let mut reals = [0.0; 256];
    for (real, x) in reals.iter_mut().zip(0..=u8::MAX) {
        *real = (f32::from(x) - mean) / std;
    }
    if reals.iter().all(|real| real.is_finite()) {
        Ok(reals)
    } else {
        Err(Error::invalid_option(format!(
            "preprocess: (x - mean) / std overflows with mean {mean} and std {std}"
        ))
        .with("option", "preprocess"))
    }
}

/// Whether quantising `(x - mean) / std` without rounding is within one step of `x - 128`. It is
/// linear in `x`, so the ends tell.
fn is_raw((mean, std): (f32, f32), scale: f32, zero_point: i32) -> bool {
    [0.0, 255.0].into_iter().all(|x: f64| {
        let real = (x - f64::from(mean)) / f64::from(std);
        let quantised = real / f64::from(scale) + f64::from(zero_point);
        (quantised - (x - 128.0)).abs() <= 1.0 + 1e-3
    })
}

fn scale_of(tensor: &Tensor) -> Result<(f32, i32)> {
    tensor.quantization.as_ref().and_then(|q| q.as_per_tensor()).ok_or_else(|| {
        Error::unsupported_type(format!(
            "input tensor {:?} is {} without one scale and zero point for the whole tensor",
            tensor.name, tensor.dtype
        ))
        .with("tensor", tensor.name.as_str())
    })
}

fn missing(tensor: &Tensor) -> Error {
    let name = &tensor.name;
    let dtype = tensor.dtype;
    let how = match tensor.quantization.as_ref().and_then(|q| q.as_per_tensor()) {
        Some((scale, zero_point)) if dtype != DataType::Float32 => {
            format!("{dtype} (scale {scale}, zero point {zero_point})")
        }
        _ => dtype.to_string(),
    };
    Error::new(
        ErrorCode::MetadataMissing,
        format!(
            "input tensor {name:?} is {how} and the model does not say how pixels become its \
             values; give preprocess as in training: \"raw\" (0..255), \"unit\" (0..1), \
             \"symmetric\" (-1..1), \"imagenet\" or \"caffe-bgr\", or preprocess.mean and \
             preprocess.std of your own: (x - mean) / std with x from 0 to 255"
        ),
    )
    .with("tensor", name.as_str())
    .with("option", "preprocess")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tensor;

    const PM1: Normalise<'_> = Normalise { mean: &[127.5], std: &[127.5] };

    /// What each byte becomes, by channel.
    fn bytes(table: &Table) -> [[u8; 256]; 3] {
        let pixels: [[u8; 3]; 256] = std::array::from_fn(|x| [x as u8; 3]);
        let mut out = [[0; 3]; 256];
        table.convert(pixels.as_flattened(), out.as_flattened_mut());
        std::array::from_fn(|channel| out.map(|pixel| pixel[channel]))
    }

    #[test]
    fn floats_by_channel() {
        let input = tensor(DataType::Float32, &[1, 2, 2, 3], None);
        let normalise =
            Normalise { mean: &[123.675, 116.28, 103.53], std: &[58.395, 57.12, 57.375] };
        let table = Table::new(&input, 3, Some(normalise), None).unwrap();
        let mut out = [[0; 4]; 15];
        let pixels = [0, 255, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 255, 10];
        table.convert(&pixels, out.as_flattened_mut());
        let out = out.map(f32::from_le_bytes);
        assert_eq!(out[0], -123.675f32 / 58.395);
        assert_eq!(out[1], (255.0f32 - 116.28) / 57.12);
        assert_eq!(out[2], (10.0f32 - 103.53) / 57.375);
        assert_eq!(out[11], (9.0f32 - 103.53) / 57.375);
        assert_eq!(out[12..], out[..3]);
    }

    #[test]
    fn uint8_is_raw_unless_the_caller_says_otherwise() {
        let input = tensor(DataType::UInt8, &[1, 2, 2, 3], Some((1.0 / 128.0, 128)));
        let raw = Table::new(&input, 3, None, Some(PM1)).unwrap();
        assert_eq!(raw, Table::Shift(Shift::none(false)));
        let caller = Table::new(&input, 3, Some(PM1), None).unwrap();
        // x = 64: -63.5 / 127.5 * 128 = -63.749 -> -64 + 128.
        assert_eq!(bytes(&caller)[0][64], 64);
        assert_eq!(bytes(&caller)[0][0], 0);
        assert_eq!(bytes(&caller)[0][255], 255);
        let half = Normalise { mean: &[127.5], std: &[255.0] };
        let caller = Table::new(&input, 3, Some(half), None).unwrap();
        assert_eq!((bytes(&caller)[2][0], bytes(&caller)[2][255]), (64, 192));
    }

    #[test]
    fn int8_is_raw_where_scale_and_normalisation_say_so() {
        let raw = LESS_128;
        let mut out = [0; 3];
        raw.convert(&[0, 200, 255], &mut out);
        assert_eq!(out.map(|byte| byte as i8), [-128, 72, 127]);
        for (scale, zero_point) in
            [(1.0 / 255.0, -128), (1.0, -128), (2.0 / 255.0, -1), (1.0 / 128.0, 0), (1.0, 0)]
        {
            let input = tensor(DataType::Int8, &[1, 2, 2, 3], Some((scale, zero_point)));
            assert_eq!(Table::new(&input, 3, None, None).unwrap(), raw, "{scale} {zero_point}");
        }
        let input = tensor(DataType::Int8, &[1, 2, 2, 3], Some((2.0 / 255.0, -1)));
        assert_eq!(Table::new(&input, 3, None, Some(PM1)).unwrap(), raw);
    }

    #[test]
    fn int8_of_another_range_is_normalised_and_quantised() {
        let input = tensor(DataType::Int8, &[1, 2, 2, 3], Some((0.0187, -14)));
        let normalise =
            Normalise { mean: &[123.675, 116.28, 103.53], std: &[58.395, 57.12, 57.375] };
        let table = Table::new(&input, 3, None, Some(normalise)).unwrap();
        assert!(matches!(table, Table::Bytes(_)));
        for channel in 0..3 {
            for x in 0..256 {
                let (mean, std) = normalise.channel(channel);
                let expected =
                    (((x as f32 - mean) / std / 0.0187).round() - 14.0).clamp(-128.0, 127.0);
                assert_eq!(f32::from(bytes(&table)[channel][x] as i8), expected);
            }
        }
        let error = Table::new(&input, 3, None, None).unwrap_err();
        assert_eq!(error.code, ErrorCode::MetadataMissing);
        assert!(error.message.contains("scale 0.0187, zero point -14"), "{error}");
        // Extremes are clamped to the type.
        let steep = Normalise { mean: &[127.0], std: &[0.01] };
        let table = Table::new(&input, 3, Some(steep), None).unwrap();
        assert_eq!((bytes(&table)[0][0] as i8, bytes(&table)[0][255] as i8), (-128, 127));
    }

    #[test]
    fn refusals_say_what_to_give() {
        let input = tensor(DataType::Float32, &[1, 2, 2, 3], None);
        let error = Table::new(&input, 3, None, None).unwrap_err();
        assert_eq!(error.code, ErrorCode::MetadataMissing);
        assert!(error.message.contains("preprocess.mean"), "{error}");
        let tiny = Normalise { mean: &[0.0], std: &[1e-40] };
        let error = Table::new(&input, 3, Some(tiny), None).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidOption);
        let input = tensor(DataType::Int32, &[1, 2, 2, 3], None);
        let error = Table::new(&input, 3, None, None).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnsupportedType);
        let input = tensor(DataType::Int8, &[1, 2, 2, 3], None);
        let error = Table::new(&input, 3, None, None).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnsupportedType);
    }
}
