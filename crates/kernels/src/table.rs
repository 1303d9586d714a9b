//! Unary operators on 8-bit tensors, as tables of 256 entries.
//!
//! A table is indexed by the input's bits as `u8` and holds the output's bits. What it holds is
//! defined by [`reference::unary_quantized`](crate::reference::unary_quantized).

use crate::reference::unary_quantized as reference;
use crate::requant::builtin::BuiltinRescale;
use crate::requant::{Affine, Quantized, Rescale};
use crate::unary::Unary;

/// The output's bits for each input's bits.
pub type Table = [u8; 256];

/// `out = table[input]`, element by element: 0.5 ns each in V8. Sixteen swizzles for sixty-four
/// bytes at a time, as XNNPACK does it, are no faster there: each is two instructions on x86.
pub fn apply(table: &Table, input: &[u8], out: &mut [u8]) {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = table[usize::from(x)];
    }
}

/// The table of a function from elements of `I` to elements of `O`.
pub fn from_fn<I: Quantized, O: Quantized>(f: impl Fn(i32) -> O) -> Table {
    core::array::from_fn(|bits| {
        let output: i32 = f(I::from_i32(bits as i32).into()).into();
        output as u8
    })
}

/// The table of an activation; `None` where TensorFlow Lite has no 8-bit form of the operator.
pub fn unary<T: Quantized>(operator: Unary, input: Affine, output: Affine) -> Option<Table> {
    Some(match operator {
        Unary::Logistic => from_fn::<T, T>(|x| reference::logistic(x, input, output)),
        Unary::Tanh => from_fn::<T, T>(|x| reference::tanh(x, input, output)),
        Unary::Elu => from_fn::<T, T>(|x| reference::elu(x, input, output)),
        Unary::HardSwish => {
            let params = reference::HardSwish::new(input, output);
            from_fn::<T, T>(|x| params.apply(x))
        }
        Unary::LeakyRelu { alpha } => {
            let params = reference::LeakyRelu::new(alpha, input, output);
            from_fn::<T, T>(|x| params.apply(x))
        }
        Unary::Abs | Unary::Sqrt | Unary::Rsqrt if T::MIN == 0 => return None,
        Unary::Exp | Unary::Log if T::MIN == 0 => return None,
        Unary::Neg if T::MIN == 0 => return None,
        Unary::Neg => from_fn::<T, T>(reference::neg),
        Unary::Abs => from_fn::<T, T>(|x| reference::abs(x, input, output)),
        Unary::Exp => from_fn::<T, T>(|x| reference::by_lookup(libm::expf, x, input, output)),
        Unary::Log => from_fn::<T, T>(|x| reference::log(x, input, output)),
        Unary::Sqrt => from_fn::<T, T>(|x| reference::sqrt(x, input, output)),
        Unary::Rsqrt => from_fn::<T, T>(|x| reference::rsqrt(x, input, output)),
        Unary::Gelu { approximate } => {
            let gelu = if approximate { reference::gelu_by_tanh } else { reference::gelu };
            from_fn::<T, T>(|x| reference::by_lookup(gelu, x, input, output))
        }
        Unary::Relu => relu::<T>(input, output, [0.0, f32::INFINITY]),
        Unary::Relu6 => relu::<T>(input, output, [0.0, 6.0]),
        Unary::Relu0To1 => relu::<T>(input, output, [0.0, 1.0]),
        Unary::ReluN1To1 => relu::<T>(input, output, [-1.0, 1.0]),
        _ => return None,
    })
}

fn relu<T: Quantized>(input: Affine, output: Affine, bounds: [f32; 2]) -> Table {
    let rescale = BuiltinRescale::relu::<T>(input, output, bounds);
    from_fn::<T, T>(|x| rescale.apply(x))
}

/// The table of QUANTIZE between tensors of the same 8-bit type.
pub fn quantize_same<T: Quantized>(input: Affine, output: Affine) -> Table {
    match Rescale::new(input, output) {
        Some(rescale) => from_fn::<T, T>(|x| rescale.apply(x)),
        None => quantize_between::<T, T>(input, output),
    }
}

/// The table of QUANTIZE from one 8-bit type to the other.
pub fn quantize_between<I: Quantized, O: Quantized>(input: Affine, output: Affine) -> Table {
    let rescale = BuiltinRescale::quantize::<O>(input, output);
    from_fn::<I, O>(|x| rescale.apply(x))
}

/// The table that brings an input of CONCATENATION to the output's scale; `None` where the two are
/// quantised alike.
pub fn concatenation<T: Quantized>(input: Affine, output: Affine) -> Option<Table> {
    (input != output).then(|| from_fn::<T, T>(|x| reference::concatenated(x, input, output)))
}
