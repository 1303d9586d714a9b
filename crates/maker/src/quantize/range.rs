//! Ranges of activations: what calibration saw of one tensor, and the range that is made of it.

use achado_model::Quantization;

/// Bins of a histogram, half of them for negative numbers. Quantization has 256 steps: bins have to be
/// several times finer.
const BINS: usize = 8192;
/// Elements of one picture that a histogram counts at most. Minimum and maximum see all.
const COUNTED: usize = 1 << 15;
/// Numbers that stand for infinity: what pads a maximum pool. They are no part of a range.
pub(crate) const INFINITE: f32 = 1e30;
/// What the TFLite quantizers keep of the average at each new picture.
const MOMENTUM: f64 = 0.95;

/// How ranges are made of what calibration saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeMethod {
    /// Minimum and maximum over all pictures, as TensorFlow Lite's converter takes them.
    MinMax,
    /// The moving average of each picture's minimum and maximum, 0.95 of it old, in the order of the
    /// pictures.
    MovingAverage,
    /// The smallest range around zero outside of which lies this share of the elements, above and below
    /// together: 0.0001 cuts one of 10,000.
    Percentile(f64),
    /// The range of least mean square error.
    Mse,
}

/// A range of real numbers that holds 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// At most 0.
    pub min: f32,
    /// At least 0.
    pub max: f32,
}

impl Range {
    /// The range from `min` to `max`, with 0 in it.
    pub fn new(min: f32, max: f32) -> Self {
        Self { min: min.min(0.0), max: max.max(0.0) }
    }

    /// The smallest range that holds both.
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// Scale and zero point of int8, in which 0 is exact. The arithmetic is that of TensorFlow Lite's
    /// converter.
    pub fn int8(self) -> Quantization {
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        // All zeros: any scale will do.
        let scale = ((max - min) / 255.0).max(1e-9);
        let zero_point = (-128.0 - min / scale).round().clamp(-128.0, 127.0);
        Quantization::per_tensor(scale as f32, zero_point as i32)
    }
}

/// What was seen of one tensor.
#[derive(Clone, Debug)]
pub struct Observed {
    min: f32,
    max: f32,
    /// Moving averages of minimum and maximum.
    average: Option<(f64, f64)>,
    /// Counts of elements in `-limit..limit`.
    counts: Vec<u32>,
    /// A power of two.
    limit: f32,
    /// By channel, the last dimension: sums of the elements and of their squares.
    sums: Vec<[f64; 2]>,
    /// By channel: the greatest magnitude.
    bounds: Vec<f32>,
    /// Elements of a channel that were added up.
    count: u64,
}

impl Observed {
    /// Of a tensor with `channels` elements in its last dimension.
    pub fn new(channels: usize) -> Self {
        let channels = channels.max(1);
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            average: None,
            counts: vec![0; BINS],
            limit: 0.0,
            sums: vec![[0.0; 2]; channels],
            bounds: vec![0.0; channels],
            count: 0,
        }
    }

    /// Takes one picture's elements; `false` if one is no finite number.
    pub fn add(&mut self, elements: &[f32]) -> bool {
        let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
        let mut finite = true;
        for &element in elements {
            finite &= element.is_finite();
            if element.abs() < INFINITE {
                min = min.min(element);
                max = max.max(element);
            }
        }
        if !finite || min > max {
            return finite;
        }
        self.min = self.min.min(min);
        self.max = self.max.max(max);
        self.average = Some(match self.average {
            None => (f64::from(min), f64::from(max)),
            Some((low, high)) => {
                let mix = |old: f64, new: f32| MOMENTUM * old + (1.0 - MOMENTUM) * f64::from(new);
                (mix(low, min), mix(high, max))
            }
        });
        self.grow(min.abs().max(max.abs()));
        let to_bin = BINS as f32 / 2.0 / self.limit;
        // Odd, so that it does not keep to some channels.
        let stride = (elements.len() / COUNTED) | 1;
        for &element in elements.iter().step_by(stride).filter(|e| e.abs() < INFINITE) {
            let bin = (element * to_bin) as i32 + (BINS / 2) as i32 - i32::from(element < 0.0);
            self.counts[bin.clamp(0, BINS as i32 - 1) as usize] += 1;
        }
        let channels = self.sums.len();
        for pixel in elements.chunks_exact(channels) {
            for ((sum, bound), &element) in self.sums.iter_mut().zip(&mut self.bounds).zip(pixel) {
                if element.abs() >= INFINITE {
                    continue;
                }
                *bound = bound.max(element.abs());
                let element = f64::from(element);
                sum[0] += element;
                sum[1] += element * element;
            }
        }
        self.count += (elements.len() / channels) as u64;
        true
    }

    /// Makes room for elements up to `largest`: bins are joined two by two.
    fn grow(&mut self, largest: f32) {
        if self.limit == 0.0 {
            self.limit = f32::MIN_POSITIVE.max(largest).log2().floor().exp2();
        }
        while self.limit <= largest {
            self.limit *= 2.0;
            let mut joined = vec![0; BINS];
            for (bin, &count) in self.counts.iter().enumerate() {
                joined[BINS / 4 + bin / 2] += count;
            }
            self.counts = joined;
        }
    }

    /// The greatest magnitude of each channel.
    pub(crate) fn channel_bounds(&self) -> Vec<f64> {
        self.bounds.iter().map(|&bound| f64::from(bound)).collect()
    }

    /// What would have been seen with each channel times its factor, of 1 or more, none of which makes it
    /// wider than the whole: means and squares change, the range stays.
    pub(crate) fn scale_channels(&mut self, factors: &[f64]) {
        for ((sum, bound), &factor) in self.sums.iter_mut().zip(&mut self.bounds).zip(factors) {
            sum[0] *= factor;
            sum[1] *= factor * factor;
            *bound = (f64::from(*bound) * factor) as f32;
        }
    }

    /// Mean of each channel.
    pub fn means(&self) -> Vec<f64> {
        let count = self.count.max(1) as f64;
        self.sums.iter().map(|[sum, _]| sum / count).collect()
    }

    /// Mean square of each channel.
    pub fn mean_squares(&self) -> Vec<f64> {
        let count = self.count.max(1) as f64;
        self.sums.iter().map(|[_, squares]| squares / count).collect()
    }

    /// The range by `method`; zero alone where nothing was seen.
    pub fn range(&self, method: RangeMethod) -> Range {
        if self.min > self.max {
            return Range::new(0.0, 0.0);
        }
        let whole = Range::new(self.min, self.max);
        match method {
            RangeMethod::MinMax => whole,
            RangeMethod::MovingAverage => {
                let (min, max) = self.average.unwrap_or_default();
                Range::new(min as f32, max as f32)
            }
            RangeMethod::Percentile(outside) => self.percentile(whole, outside),
            RangeMethod::Mse => self.least_error(whole),
        }
    }

    /// The middle of a bin.
    fn center(&self, bin: usize) -> f64 {
        (bin as f64 + 0.5 - BINS as f64 / 2.0) * f64::from(self.limit) / (BINS as f64 / 2.0)
    }

    fn percentile(&self, whole: Range, outside: f64) -> Range {
        let total: f64 = self.counts.iter().map(|&count| f64::from(count)).sum();
        let cut = total * outside / 2.0;
        let find = |bins: &mut dyn Iterator<Item = usize>| {
            let mut seen = 0.0;
            for bin in bins {
                seen += f64::from(self.counts[bin]);
                if seen > cut {
                    return self.center(bin) as f32;
                }
            }
            0.0
        };
        let min = find(&mut (0..BINS)).max(whole.min);
        let max = find(&mut (0..BINS).rev()).min(whole.max);
        Range::new(min, max)
    }

    /// Shrinks one end after the other while that lowers the expected error.
    fn least_error(&self, whole: Range) -> Range {
        const STEPS: u16 = 64;
        let filled: Vec<(f64, f64)> = (self.counts.iter().enumerate())
            .filter(|(_, count)| **count > 0)
            .map(|(bin, &count)| (self.center(bin), f64::from(count)))
            .collect();
        let error = |range: Range| {
            let (min, max) = (f64::from(range.min), f64::from(range.max));
            let scale = (max - min) / 255.0;
            let rounding = scale * scale / 12.0;
            filled.iter().fold(0.0, |sum, &(center, count)| {
                let clipped = center - center.clamp(min, max);
                sum + count * if clipped == 0.0 { rounding } else { clipped * clipped }
            })
        };
        let mut best = (error(whole), whole);
        for _ in 0..2 {
            for is_max in [true, false] {
                let from = best.1;
                for step in 1..STEPS {
                    let share = f32::from(step) / f32::from(STEPS);
                    let range = if is_max {
                        Range { max: whole.max * share, ..from }
                    } else {
                        Range { min: whole.min * share, ..from }
                    };
                    let error = error(range);
                    if error < best.0 {
                        best = (error, range);
                    }
                }
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_exact_and_both_ends_are_held() {
        for (min, max) in [(0.0, 6.0), (-1.0, 1.0), (-3.3, 0.0), (0.0, 0.0), (2.0, 5.0)] {
            let quantization = Range::new(min, max).int8();
            let (scale, zero) = quantization.as_per_tensor().unwrap();
            let held = |value: f32| {
                let q = ((value / scale).round() as i32 + zero).clamp(-128, 127);
                ((q - zero) as f32 * scale - value).abs() <= scale * 0.501
            };
            assert!(held(min) && held(max) && (-128..=127).contains(&zero), "{min} {max}");
        }
        let relu6 = Range::new(0.0, 6.0).int8();
        assert_eq!(relu6, Quantization::per_tensor(6.0 / 255.0, -128));
    }

    #[test]
    fn methods_take_what_they_say() {
        let mut observed = Observed::new(1);
        let mut seed = 1u32;
        for _ in 0..4 {
            let mut normal = || {
                let mut sum = 0.0;
                for _ in 0..12 {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    sum += (seed >> 8) as f32 / (1 << 24) as f32;
                }
                sum - 6.0
            };
            let mut elements: Vec<f32> = (0..20_000).map(|_| normal()).collect();
            elements[7] = 40.0;
            assert!(observed.add(&elements));
        }
        let min_max = observed.range(RangeMethod::MinMax);
        assert_eq!(min_max.max, 40.0);
        let percentile = observed.range(RangeMethod::Percentile(1e-3));
        assert!(percentile.max > 2.8 && percentile.max < 4.2, "{percentile:?}");
        let mse = observed.range(RangeMethod::Mse);
        assert!(mse.max < 40.0 && mse.min > -6.5 && mse.min < -2.0, "{mse:?}");
        assert!((observed.means()[0]).abs() < 0.05);
        assert!((observed.mean_squares()[0] - 1.0).abs() < 0.15);
        assert!(!observed.add(&[f32::NAN]) && !observed.add(&[f32::INFINITY]));
        assert!(observed.add(&[f32::MIN]));
        assert_eq!(observed.range(RangeMethod::MinMax).max, 40.0);
        assert!(observed.range(RangeMethod::MinMax).min > -7.0);
    }

    #[test]
    fn a_moving_average_keeps_nineteen_parts_in_twenty() {
        let mut observed = Observed::new(2);
        observed.add(&[-1.0, 1.0]);
        observed.add(&[-3.0, 5.0]);
        let range = observed.range(RangeMethod::MovingAverage);
        assert!((range.min + 1.1).abs() < 1e-6 && (range.max - 1.2).abs() < 1e-6, "{range:?}");
    }
}
