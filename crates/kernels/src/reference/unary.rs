//! Float operators of one operand, in f64.

use crate::unary::Unary;

/// `out = operator(input)`, element by element.
pub fn unary_f32(operator: Unary, input: &[f32], out: &mut [f32]) {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = real(operator, f64::from(x)) as f32;
    }
}

/// The operator on real numbers.
fn real(operator: Unary, x: f64) -> f64 {
    match operator {
        Unary::Abs => x.abs(),
        Unary::Ceil => x.ceil(),
        Unary::Cos => libm::cos(x),
        Unary::Elu => {
            if x < 0.0 {
                libm::expm1(x)
            } else {
                x
            }
        }
        Unary::Exp => libm::exp(x),
        Unary::Floor => x.floor(),
        Unary::Gelu { approximate: false } => {
            0.5 * x * libm::erfc(x * -core::f64::consts::FRAC_1_SQRT_2)
        }
        Unary::Gelu { approximate: true } => {
            let inner = (2.0 / core::f64::consts::PI).sqrt() * x * (1.0 + 0.044715 * x * x);
            0.5 * x * (1.0 + libm::tanh(inner))
        }
        Unary::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Unary::LeakyRelu { alpha } => {
            if x < 0.0 {
                x * f64::from(alpha)
            } else {
                x
            }
        }
        Unary::Log => libm::log(x),
        Unary::Logistic => 1.0 / (1.0 + libm::exp(-x)),
        Unary::Neg => -x,
        Unary::Relu => x.max(0.0),
        Unary::Relu6 => x.clamp(0.0, 6.0),
        Unary::Relu0To1 => x.clamp(0.0, 1.0),
        Unary::ReluN1To1 => x.clamp(-1.0, 1.0),
        Unary::Round => x.round_ties_even(),
        Unary::Rsqrt => 1.0 / x.sqrt(),
        Unary::Sign => {
            if x == 0.0 {
                0.0
            } else {
                x.signum()
            }
        }
        Unary::Silu => x / (1.0 + libm::exp(-x)),
        Unary::Sin => libm::sin(x),
        Unary::Sqrt => x.sqrt(),
        Unary::Square => x * x,
        Unary::Tanh => libm::tanh(x),
    }
}
