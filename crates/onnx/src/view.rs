//! How a value of the ONNX graph lies in a tensor of the model.
//!
//! ONNX's pictures are `[n, c, h, w]`, the model's `[n, h, w, c]`. Instead of transposing, each
//! value remembers how its *logical* dimensions (ONNX's) are made of the tensor's *factors*: the
//! tensor's elements in row-major order, with its dimensions cut as finely as anyone has asked for.
//! ONNX's Transpose, Reshape, Flatten, Squeeze and Unsqueeze then change what is remembered and
//! move nothing; elements are moved only where an operator needs another order than it finds.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::TensorId;

/// A value's place in a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    pub tensor: TensorId,
    /// Sizes above 1 whose product is the number of elements, outermost first.
    factors: Vec<usize>,
    /// For each logical dimension its factors, the outermost first; none for a dimension of 1.
    axes: Vec<Vec<usize>>,
}

impl View {
    /// Dimension `i` of a tensor of `shape` is the logical dimension `order[i]`.
    pub fn new(tensor: TensorId, shape: &[usize], order: &[usize]) -> Self {
        let mut view = Self { tensor, factors: Vec::new(), axes: vec![Vec::new(); order.len()] };
        for (&dim, &axis) in shape.iter().zip(order) {
            if dim != 1 {
                if let Some(factors) = view.axes.get_mut(axis) {
                    factors.push(view.factors.len());
                }
                view.factors.push(dim);
            }
        }
        view
    }

    /// A tensor whose dimensions are the logical ones.
    pub fn plain(tensor: TensorId, shape: &[usize]) -> Self {
        let order: Vec<usize> = (0..shape.len()).collect();
        Self::new(tensor, shape, &order)
    }

    /// The same view of another tensor with as many elements.
    pub fn of(&self, tensor: TensorId) -> Self {
        Self { tensor, ..self.clone() }
    }

    /// The number of logical dimensions.
    pub fn rank(&self) -> usize {
        self.axes.len()
    }

    fn size(&self, factor: usize) -> usize {
        self.factors.get(factor).copied().unwrap_or(1)
    }

    /// The logical dimensions.
    pub fn dims(&self) -> Vec<usize> {
        let dim = |axis: &Vec<usize>| axis.iter().map(|&factor| self.size(factor)).product();
        self.axes.iter().map(dim).collect()
    }

    /// The tensor's factors.
    pub fn factors(&self) -> &[usize] {
        &self.factors
    }

    /// The factors of a logical dimension.
    pub fn axis(&self, axis: usize) -> &[usize] {
        self.axes.get(axis).map_or(&[], Vec::as_slice)
    }

    /// The factors in the order in which the logical dimensions `order` hold them.
    pub fn sequence(&self, order: &[usize]) -> Vec<usize> {
        order.iter().flat_map(|&axis| self.axis(axis)).copied().collect()
    }

    /// Whether the tensor's elements lie in the order of the logical dimensions `order` already.
    pub fn is_in_order(&self, order: &[usize]) -> bool {
        self.sequence(order).iter().enumerate().all(|(at, &factor)| at == factor)
    }

    /// Logical dimension `i` of the result is logical dimension `order[i]`.
    pub fn transpose(&self, order: &[usize]) -> Self {
        let axes = order.iter().map(|&axis| self.axis(axis).to_vec()).collect();
        Self { tensor: self.tensor, factors: self.factors.clone(), axes }
    }

    /// Other logical dimensions over the same elements in their logical order; `None` where a
    /// boundary of `dims` lies within a factor that cannot be cut there.
    pub fn reshape(&self, dims: &[usize]) -> Option<Self> {
        if self.factors.contains(&0) {
            // Nothing that could lie in another order.
            return dims.contains(&0).then(|| Self::plain(self.tensor, dims));
        }
        // Sizes of the factors in logical order, each with its number; cut on the way.
        let logical: Vec<usize> = (0..self.rank()).collect();
        let mut rest: Vec<(usize, usize)> = self
            .sequence(&logical)
            .iter()
            .rev()
            .map(|&factor| (factor, self.size(factor)))
            .collect();
        // For each new axis the pieces: the factor they come from and their size.
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        let mut axes: Vec<Vec<usize>> = Vec::new();
        for &dim in dims {
            let mut axis = Vec::new();
            let mut needed = dim;
            while needed != 1 {
                let (factor, size) = rest.pop()?;
                let taken = if needed.checked_rem(size)? == 0 {
                    size
                } else if size.checked_rem(needed)? == 0 {
                    rest.push((factor, size.checked_div(needed)?));
                    needed
                } else {
                    return None;
                };
                needed = needed.checked_div(taken)?;
                axis.push(pieces.len());
                pieces.push((factor, taken));
            }
            axes.push(axis);
        }
        if !rest.is_empty() {
            return None;
        }
        // Pieces of one factor lie in the tensor in the order in which they were cut off.
        let mut order: Vec<usize> = (0..pieces.len()).collect();
        order.sort_by_key(|&piece| (pieces.get(piece).map(|&(factor, _)| factor), piece));
        let mut place = vec![0; pieces.len()];
        for (at, &piece) in order.iter().enumerate() {
            *place.get_mut(piece)? = at;
        }
        let size = |&piece: &usize| pieces.get(piece).map_or(1, |&(_, size)| size);
        let factors = order.iter().map(size).collect();
        let axes = axes
            .iter()
            .map(|axis| axis.iter().filter_map(|&piece| place.get(piece).copied()).collect())
            .collect();
        Some(Self { tensor: self.tensor, factors, axes })
    }

    /// Which logical dimension each dimension of a tensor of `shape` is; `None` where `shape` does
    /// not hold the logical dimensions one by one.
    pub fn order_in(&self, shape: &[usize]) -> Option<Vec<usize>> {
        if shape.len() != self.rank() {
            return None;
        }
        let dims = self.dims();
        let mut ones = (0..dims.len()).filter(|&axis| dims.get(axis) == Some(&1));
        let mut next = 0usize;
        let mut order = Vec::with_capacity(shape.len());
        for &dim in shape {
            if dim == 1 {
                order.push(ones.next()?);
                continue;
            }
            let axis = self.axes.iter().position(|axis| axis.first() == Some(&next))?;
            let factors = self.axis(axis);
            let whole = factors.iter().copied().eq(next..next.checked_add(factors.len())?);
            if !whole || dims.get(axis) != Some(&dim) {
                return None;
            }
            next = next.checked_add(factors.len())?;
            order.push(axis);
        }
        (next == self.factors.len()).then_some(order)
    }

    /// The logical dimensions in the order in which the tensor holds them one by one, those of size
    /// 1 first. Where some are scattered, by where each begins: the channels of a shuffled picture
    /// stay last.
    pub fn natural_order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.rank()).collect();
        order.sort_by_key(|&axis| (self.axis(axis).first().copied(), axis));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NHWC: [usize; 4] = [0, 2, 3, 1];

    fn picture(h: usize, w: usize, c: usize) -> View {
        View::new(TensorId(0), &[1, h, w, c], &NHWC)
    }

    #[test]
    fn a_picture_keeps_its_logical_dimensions() {
        let view = picture(4, 5, 3);
        assert_eq!(view.dims(), [1, 3, 4, 5]);
        assert_eq!(view.factors(), [4, 5, 3]);
        assert!(view.is_in_order(&NHWC));
        assert!(!view.is_in_order(&[0, 1, 2, 3]));
        assert_eq!(view.order_in(&[1, 4, 5, 3]).unwrap(), NHWC);
        assert_eq!(view.order_in(&[4, 5, 3]), None);
        assert_eq!(view.natural_order(), NHWC);
    }

    #[test]
    fn transposing_to_the_tensors_order_and_flattening_costs_nothing() {
        let view = picture(4, 5, 6).transpose(&NHWC);
        assert_eq!(view.dims(), [1, 4, 5, 6]);
        assert!(view.is_in_order(&[0, 1, 2, 3]));
        let boxes = view.reshape(&[1, 60, 2]).unwrap();
        assert_eq!(boxes.dims(), [1, 60, 2]);
        assert!(boxes.is_in_order(&[0, 1, 2]));
    }

    #[test]
    fn flattening_a_picture_remembers_where_channels_are() {
        let flat = picture(2, 2, 3).reshape(&[1, 12]).unwrap();
        assert_eq!(flat.dims(), [1, 12]);
        assert_eq!(flat.sequence(&[1]), [2, 0, 1]);
        let back = flat.reshape(&[1, 3, 2, 2]).unwrap();
        assert_eq!(back, picture(2, 2, 3));
        let pooled = picture(1, 1, 8).reshape(&[1, 8]).unwrap();
        assert!(pooled.is_in_order(&[0, 1]));
    }

    #[test]
    fn a_channel_shuffle_is_one_move() {
        let split = picture(4, 4, 6).reshape(&[1, 2, 3, 4, 4]).unwrap();
        assert_eq!(split.factors(), [4, 4, 2, 3]);
        let shuffled = split.transpose(&[0, 2, 1, 3, 4]).reshape(&[1, 6, 4, 4]).unwrap();
        assert_eq!(shuffled.dims(), [1, 6, 4, 4]);
        assert_eq!(shuffled.sequence(&NHWC), [0, 1, 3, 2]);
        assert_eq!(shuffled.natural_order(), NHWC);
    }

    #[test]
    fn factors_are_cut_where_they_divide() {
        let view = View::plain(TensorId(0), &[6, 4]);
        assert_eq!(view.reshape(&[4, 6]), None);
        assert_eq!(view.reshape(&[3, 8]).unwrap().factors(), [3, 2, 4]);
        assert_eq!(view.reshape(&[24]).unwrap().dims(), [24]);
        assert_eq!(view.reshape(&[2, 3, 2, 2]).unwrap().factors(), [2, 3, 2, 2]);
        assert_eq!(view.reshape(&[5, 5]), None);
    }

    #[test]
    fn grey_pictures_are_channels_last() {
        let view = View::new(TensorId(0), &[1, 8, 8, 1], &NHWC);
        assert_eq!(view.dims(), [1, 1, 8, 8]);
        assert_eq!(view.order_in(&[1, 8, 8, 1]).unwrap(), NHWC);
        // One channel: the elements lie in either order.
        assert!(view.is_in_order(&NHWC) && view.is_in_order(&[0, 1, 2, 3]));
        assert_eq!(view.natural_order(), [0, 1, 2, 3]);
    }
}
