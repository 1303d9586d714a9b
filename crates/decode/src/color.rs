//! What a file says of its colours, and those colours as sRGB: what browsers do before anybody sees a
//! pixel.

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace,
    Layout, MatrixCoefficients, RenderingIntent, ToneReprCurve, TransferCharacteristics,
    TransformOptions, XyY,
};

/// Pixels that are transformed at a time.
const BLOCK: usize = 4096;

/// The profile of an ICC block for pictures with or without colours; none where it is damaged or made
/// for other pictures, which browsers show without it.
pub fn icc(profile: &[u8], is_gray: bool) -> Option<ColorProfile> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    let fits = match profile.color_space {
        DataColorSpace::Rgb => !is_gray,
        DataColorSpace::Gray => is_gray,
        _ => false,
    };
    fits.then_some(profile)
}

/// The profile that the chunks of a PNG file stand for, where it has no ICC block: `cICP`, or else
/// `gAMA` with or without `cHRM`, which do not count beside `sRGB` (PNG 3, 4.3).
pub fn png(file: &[u8], is_gray: bool) -> Option<ColorProfile> {
    let (mut gamma, mut primaries) = (None, None);
    let mut rest = file.get(8..)?;
    loop {
        let (&length, after) = rest.split_first_chunk()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        let data = after.get(..length)?;
        match (kind, data) {
            (b"IDAT", _) => break,
            (b"iCCP" | b"sRGB", _) => return None,
            (b"cICP", &[primaries, transfer, 0, 1]) => return coded(primaries, transfer),
            (b"gAMA", data) => gamma = fractions::<1>(data).map(|[gamma]| gamma),
            (b"cHRM", data) => primaries = fractions::<8>(data),
            _ => {}
        }
        // Four bytes of checksum follow.
        rest = after.get(length.checked_add(4)?..)?;
    }
    let curve = exponent(1.0 / gamma.filter(|gamma| (0.1..=10.0).contains(gamma))?);
    if is_gray {
        let mut profile = ColorProfile::new_gray_with_gamma(1.0);
        profile.gray_trc = Some(curve);
        return Some(profile);
    }
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    if let Some([wx, wy, rx, ry, gx, gy, bx, by]) = primaries {
        let [red, green, blue] =
            [(rx, ry), (gx, gy), (bx, by)].map(|(x, y)| Chromaticity { x: x as f32, y: y as f32 });
        if wy <= 0.0 {
            return None;
        }
        let white = XyY { x: wx, y: wy, yb: 1.0 };
        profile.update_rgb_colorimetry(white, ColorPrimaries { red, green, blue });
    }
    profile.red_trc = Some(curve.clone());
    profile.green_trc = Some(curve.clone());
    profile.blue_trc = Some(curve);
    Some(profile)
}

/// `x^exponent`: the first of ICC's parametric curves.
fn exponent(exponent: f64) -> ToneReprCurve {
    ToneReprCurve::Parametric(vec![exponent as f32])
}

/// PNG's numbers: integers that count hundred thousandths.
fn fractions<const N: usize>(data: &[u8]) -> Option<[f64; N]> {
    let (numbers, rest) = data.as_chunks::<4>();
    let numbers: &[_; N] = numbers.try_into().ok().filter(|_| rest.is_empty())?;
    Some(numbers.map(|number| f64::from(u32::from_be_bytes(number)) / 100_000.0))
}

/// Primaries and transfer by the numbers of ITU-T H.273.
fn coded(primaries: u8, transfer: u8) -> Option<ColorProfile> {
    let cicp = CicpProfile {
        color_primaries: CicpColorPrimaries::try_from(primaries).ok()?,
        transfer_characteristics: TransferCharacteristics::try_from(transfer).ok()?,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    };
    let mut profile = ColorProfile::new_srgb();
    profile.update_rgb_colorimetry_from_cicp(cicp).then_some(profile)
}

/// Makes sRGB of RGBA pixels, which are grey ones where the profile is. A profile that cannot be
/// applied, or is sRGB's own, leaves them as they are.
pub fn to_srgb(profile: &ColorProfile, rgba: &mut [u8]) {
    let options = TransformOptions {
        rendering_intent: RenderingIntent::RelativeColorimetric,
        ..TransformOptions::default()
    };
    let is_gray = profile.color_space == DataColorSpace::Gray;
    let from = if is_gray { Layout::GrayAlpha } else { Layout::Rgba };
    let srgb = ColorProfile::new_srgb();
    let Ok(transform) = profile.create_transform_8bit(from, &srgb, Layout::Rgba, options) else {
        return;
    };
    let mut transformed = vec![0; BLOCK * 4];
    let mut grays = Vec::new();
    let mut apply = |pixels: &[[u8; 4]], out: &mut [u8]| {
        if is_gray {
            grays.clear();
            grays.extend(pixels.iter().flat_map(|&[gray, _, _, alpha]| [gray, alpha]));
            transform.transform(&grays, out)
        } else {
            transform.transform(pixels.as_flattened(), out)
        }
    };
    // A grid of colours: rounding alone is no reason to change pixels.
    let steps = [0, 36, 73, 109, 146, 182, 219, 255];
    let mut grid: Vec<[u8; 4]> = Vec::new();
    for r in steps {
        for g in steps {
            grid.extend(steps.map(|b| if is_gray { [r, r, r, 255] } else { [r, g, b, 255] }));
        }
    }
    let sample = &mut transformed[..grid.len() * 4];
    let far = |(a, b): (&u8, &u8)| a.abs_diff(*b) > 1;
    if apply(&grid, sample).is_err() || !sample.iter().zip(grid.as_flattened()).any(far) {
        return;
    }
    for block in rgba.as_chunks_mut::<4>().0.chunks_mut(BLOCK) {
        let out = &mut transformed[..block.len() * 4];
        if apply(block, out).is_ok() {
            block.as_flattened_mut().copy_from_slice(out);
        }
    }
}
