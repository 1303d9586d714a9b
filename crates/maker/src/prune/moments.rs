//! Second moments of activations: how channels go together, by which the loss of some is made up for by
//! others.

use achado_engine::SessionOptions;
use achado_model::{Error, Model, Padding, Result, TensorId};

use crate::quantize::Watched;
use crate::train::linear::Matrix;

/// Pixels of one picture that are counted of a tensor, at most: neighbors are much alike.
const PIXELS: usize = 64;
/// Rows that are added at once: the matrix goes through memory once for all of them.
const ROWS: usize = 8;

/// The most numbers that a window may see for all their products to be kept; above, each tap is by
/// itself.
pub(super) const MOST_SEEN: usize = 1200;
/// A window over a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Patch {
    size: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
}

impl Patch {
    pub fn window(
        size: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        padding: Padding,
    ) -> Self {
        Self { size, stride, dilation, padding }
    }

    /// One pixel after the other, or rows of another tensor.
    pub fn pixel() -> Self {
        Self::window([1, 1], [1, 1], [1, 1], Padding::Valid)
    }

    /// Whether it sees each pixel by itself, once.
    pub fn is_pixel(self) -> bool {
        self == Self { padding: self.padding, ..Self::pixel() } && self.padding_is_none()
    }

    fn padding_is_none(self) -> bool {
        !matches!(self.padding, Padding::Explicit { .. })
    }

    pub fn taps(self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Rows or columns of the result, and what lies before the first pixel.
    fn side(self, axis: usize, pixels: usize) -> (usize, usize) {
        let reach = (self.size[axis] - 1) * self.dilation[axis] + 1;
        let stride = self.stride[axis];
        let (before, after) = match (self.padding, axis) {
            (Padding::Same, _) => {
                let out = pixels.div_ceil(stride);
                let needed = (out.max(1) - 1) * stride + reach;
                return (out, needed.saturating_sub(pixels) / 2);
            }
            (Padding::Valid, _) => (0, 0),
            (Padding::Explicit { top, bottom, .. }, 0) => (top, bottom),
            (Padding::Explicit { left, right, .. }, _) => (left, right),
        };
        let room = (pixels + before + after).checked_sub(reach);
        (room.map_or(0, |room| room / stride + 1), before)
    }

    /// How many windows there are in a picture `[n, h, w, c]`.
    pub fn places(self, shape: &[usize]) -> usize {
        if self.is_pixel() {
            return shape.iter().rev().skip(1).product();
        }
        let &[batch, height, width, _] = shape else { return 0 };
        batch * self.side(0, height).0 * self.side(1, width).0
    }

    /// What window `at` sees, `[kh, kw, c]`; zeros beyond the picture.
    pub fn gather(self, shape: &[usize], picture: &[f32], at: usize, into: &mut Vec<f32>) {
        into.clear();
        if self.is_pixel() {
            let channels = shape.last().copied().unwrap_or(1);
            into.extend_from_slice(&picture[at * channels..][..channels]);
            return;
        }
        let &[_, height, width, channels] = shape else { return };
        let ((out_h, top), (out_w, left)) = (self.side(0, height), self.side(1, width));
        let (batch, row, column) = (at / (out_h * out_w), at / out_w % out_h, at % out_w);
        for tap_row in 0..self.size[0] {
            let y = (row * self.stride[0] + tap_row * self.dilation[0]).wrapping_sub(top);
            for tap_column in 0..self.size[1] {
                let x =
                    (column * self.stride[1] + tap_column * self.dilation[1]).wrapping_sub(left);
                if y < height && x < width {
                    let pixel = ((batch * height + y) * width + x) * channels;
                    into.extend_from_slice(&picture[pixel..][..channels]);
                } else {
                    into.resize(into.len() + channels, 0.0);
                }
            }
        }
    }
}

/// What is collected of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Watch {
    /// Products of its channels, by pixel.
    Channels(TensorId),
    /// Products of all that a window sees.
    Windows(TensorId, Patch),
    /// The variance of its elements by channel, summed.
    Variance(TensorId),
}

impl Watch {
    fn tensor(self) -> TensorId {
        match self {
            Self::Channels(id) | Self::Windows(id, _) | Self::Variance(id) => id,
        }
    }
}

/// Sums over pixels of `x` and `x xᵀ`, in the lower triangle.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    count: f64,
    sums: Vec<f64>,
    products: Matrix,
    /// Rows that are not added yet.
    pending: Vec<f32>,
}

impl Moments {
    fn new(width: usize, whole: bool) -> Self {
        let products = if whole { Matrix::zeros(width, width) } else { Matrix::zeros(1, width) };
        Self { count: 0.0, sums: vec![0.0; width], products, pending: Vec::new() }
    }

    /// Whether all products are kept, and not squares alone.
    fn is_whole(&self) -> bool {
        self.products.rows() == self.products.cols
    }

    fn add(&mut self, row: &[f32]) {
        self.count += 1.0;
        for (sum, &value) in self.sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
        if !self.is_whole() {
            for (square, &value) in self.products.data.iter_mut().zip(row) {
                *square += f64::from(value) * f64::from(value);
            }
            return;
        }
        self.pending.extend_from_slice(row);
        if self.pending.len() >= ROWS * row.len() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let width = self.sums.len();
        self.pending.resize(ROWS * width, 0.0);
        for i in 0..width {
            let factors: [f32; ROWS] = std::array::from_fn(|row| self.pending[row * width + i]);
            // Half of what follows an activation is zero.
            if factors == [0.0; ROWS] {
                continue;
            }
            let into = &mut self.products.row_mut(i)[..=i];
            let rows: [&[f32]; ROWS] =
                std::array::from_fn(|row| &self.pending[row * width..][..=i]);
            for (j, sum) in into.iter_mut().enumerate() {
                let mut product = 0.0f32;
                for row in 0..ROWS {
                    product += factors[row] * rows[row][j];
                }
                *sum += f64::from(product);
            }
        }
        self.pending.clear();
    }

    /// The mean by channel.
    pub fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.count.max(1.0)).collect()
    }

    /// The sum over channels of the variance.
    pub fn variance(&self) -> f64 {
        let means = self.means();
        let square = |i: usize| match self.is_whole() {
            true => self.products.row(i)[i],
            false => self.products.data[i],
        };
        (0..means.len())
            .map(|i| (square(i) / self.count.max(1.0) - means[i] * means[i]).max(0.0))
            .sum()
    }

    /// How many rows were added.
    pub fn rows(&self) -> f64 {
        self.count
    }

    /// The covariance, both triangles, with a share of its mean diagonal added to the diagonal: channels
    /// that never differ in the pictures would else be one another's exact copies.
    pub fn covariance(&self, ridge: f64) -> Matrix {
        let means = self.means();
        let width = means.len();
        let mut covariance = Matrix::zeros(width, width);
        for i in 0..width {
            for j in 0..=i {
                let value = self.products.row(i)[j] / self.count.max(1.0) - means[i] * means[j];
                covariance.row_mut(i)[j] = value;
                covariance.row_mut(j)[i] = value;
            }
        }
        let trace: f64 = (0..width).map(|i| covariance.row(i)[i].max(0.0)).sum();
        let added = (ridge * trace / width.max(1) as f64).max(1e-12);
        for i in 0..width {
            covariance.row_mut(i)[i] += added;
        }
        covariance
    }
}

/// Runs a model over pictures and collects moments of what is watched.
#[derive(Debug)]
pub(super) struct Collector {
    watched: Watched,
    entries: Vec<(Watch, Moments)>,
    pictures: usize,
    floats: Vec<f32>,
    row: Vec<f32>,
}

impl Collector {
    pub fn new(model: &Model, watches: Vec<Watch>, options: &SessionOptions) -> Result<Self> {
        let mut ids: Vec<TensorId> = watches.iter().map(|watch| watch.tensor()).collect();
        ids.sort();
        ids.dedup();
        let mut entries: Vec<(Watch, Moments)> = Vec::with_capacity(watches.len());
        for watch in watches {
            if entries.iter().any(|(known, _)| *known == watch) {
                continue;
            }
            let channels = model.tensor(watch.tensor()).shape.last().copied().unwrap_or(1);
            let width = match watch {
                Watch::Windows(_, patch) => patch.taps() * channels,
                Watch::Channels(_) | Watch::Variance(_) => channels,
            };
            entries.push((watch, Moments::new(width, !matches!(watch, Watch::Variance(_)))));
        }
        let watched = Watched::new(model, &ids, options)?;
        Ok(Self { watched, entries, pictures: 0, floats: Vec::new(), row: Vec::new() })
    }

    pub fn pictures(&self) -> usize {
        self.pictures
    }

    /// What was collected.
    pub fn of(&self, watch: Watch) -> &Moments {
        let found = self.entries.iter().find(|(known, _)| *known == watch);
        &found.expect("what is asked for was watched").1
    }

    /// Runs one picture.
    pub fn add(&mut self, inputs: &[&[u8]]) -> Result<()> {
        let Self { watched, entries, pictures, floats, row } = self;
        watched.run(inputs)?;
        let picture = *pictures;
        watched.each(&mut |id, tensor, bytes| {
            floats.clear();
            floats.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            if floats.iter().any(|value| !value.is_finite()) {
                return Err(Error::invalid_input(format!(
                    "picture {picture} makes numbers in tensor {:?} that are infinite or no numbers: \
                     check the model and the picture's preprocessing",
                    tensor.name
                ))
                .with("tensor", tensor.name.as_str()));
            }
            for (watch, moments) in entries.iter_mut().filter(|(watch, _)| watch.tensor() == id) {
                match *watch {
                    Watch::Channels(_) | Watch::Variance(_) => {
                        let channels = moments.sums.len();
                        for at in sampled(floats.len() / channels.max(1), picture, PIXELS) {
                            moments.add(&floats[at * channels..][..channels]);
                        }
                    }
                    Watch::Windows(_, patch) => {
                        for at in sampled(patch.places(&tensor.shape), picture, PIXELS) {
                            patch.gather(&tensor.shape, floats, at, row);
                            moments.add(row);
                        }
                    }
                }
                if moments.is_whole() && !moments.pending.is_empty() {
                    moments.flush();
                }
            }
            Ok(())
        })?;
        self.pictures += 1;
        Ok(())
    }
}

/// At most `most` of `count` places, evenly, others in each picture.
pub(super) fn sampled(count: usize, picture: usize, most: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(most);
    // The golden ratio's multiples fill a step evenly.
    let offset = if count > taken { (picture as f64 * 0.618_033_988_75).fract() } else { 0.0 };
    (0..taken).map(move |i| ((i as f64 + offset) * count as f64 / taken as f64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_covariances() {
        let rows: Vec<[f32; 3]> = (0..21)
            .map(|i| [i as f32 % 5.0, (i * i) as f32 % 7.0, if i % 2 == 0 { 0.0 } else { 1.0 }])
            .collect();
        let mut moments = Moments::new(3, true);
        rows.iter().for_each(|row| moments.add(row));
        moments.flush();
        let n = rows.len() as f64;
        let mean = |c: usize| rows.iter().map(|row| f64::from(row[c])).sum::<f64>() / n;
        let covariance = moments.covariance(0.0);
        for i in 0..3 {
            for j in 0..3 {
                let product: f64 =
                    rows.iter().map(|row| f64::from(row[i]) * f64::from(row[j])).sum();
                let wanted = product / n - mean(i) * mean(j);
                assert!((covariance.row(i)[j] - wanted).abs() < 1e-5, "{i} {j}");
            }
        }
    }

    #[test]
    fn pixels_are_in_range_and_spread() {
        for (count, picture) in [(0, 0), (1, 3), (64, 2), (65, 1), (12544, 7)] {
            let places: Vec<usize> = sampled(count, picture, PIXELS).collect();
            assert_eq!(places.len(), count.min(PIXELS));
            assert!(places.iter().all(|&at| at < count));
            assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn windows_see_zeros_beyond_the_picture() {
        let patch =
            Patch { size: [3, 3], stride: [2, 2], dilation: [1, 1], padding: Padding::Same };
        let shape = [1, 3, 3, 1];
        let picture: Vec<f32> = (1..=9).map(|value| value as f32).collect();
        assert_eq!(patch.places(&shape), 4);
        let mut seen = Vec::new();
        patch.gather(&shape, &picture, 0, &mut seen);
        assert_eq!(seen, [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 4.0, 5.0]);
        patch.gather(&shape, &picture, 3, &mut seen);
        assert_eq!(seen, [5.0, 6.0, 0.0, 8.0, 9.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
