//! Reads the recorded cases of `tests/litert/*.txt`: see `scripts/kernels/litert_cases.py`.

#![allow(dead_code, reason = "each suite uses a part")]

use achado_kernels::reference::Operand;
use achado_kernels::requant::{Affine, Quantized};
use achado_kernels::shape::Window;

/// One operator run by TensorFlow Lite.
#[derive(Debug)]
pub struct Case<'a> {
    /// The operator, in small letters.
    pub operator: &'a str,
    keys: Vec<(&'a str, &'a str)>,
    pub inputs: Vec<Tensor<'a>>,
    pub outputs: Vec<Tensor<'a>>,
}

#[derive(Debug)]
pub struct Tensor<'a> {
    pub dtype: &'a str,
    pub shape: Vec<usize>,
    pub scales: Vec<f32>,
    pub zero_point: i32,
    pub bytes: Vec<u8>,
}

/// All cases of a file.
pub fn parse(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "<" => cases.last_mut().unwrap().inputs.push(tensor(&words[1..])),
            ">" => cases.last_mut().unwrap().outputs.push(tensor(&words[1..])),
            operator => cases.push(Case {
                operator,
                keys: words[1..].iter().map(|word| word.split_once('=').unwrap()).collect(),
                inputs: Vec::new(),
                outputs: Vec::new(),
            }),
        }
    }
    cases
}

fn tensor<'a>(words: &[&'a str]) -> Tensor<'a> {
    let shape = match words[1] {
        "-" => Vec::new(),
        shape => shape.split('x').map(|len| len.parse().unwrap()).collect(),
    };
    let quantised = words.len() == 5;
    let scale = |bits: &str| f32::from_bits(u32::from_str_radix(bits, 16).unwrap());
    let hex = words[words.len() - 1].trim_matches('-');
    Tensor {
        dtype: words[0],
        shape,
        scales: if quantised { words[2].split(',').map(scale).collect() } else { Vec::new() },
        zero_point: if quantised { words[3].parse().unwrap() } else { 0 },
        bytes: (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect(),
    }
}

impl Case<'_> {
    pub fn key(&self, name: &str) -> &str {
        self.keys.iter().find(|(key, _)| *key == name).unwrap_or_else(|| panic!("no {name}")).1
    }

    /// Two numbers, as in `3x5`.
    pub fn pair(&self, name: &str) -> [usize; 2] {
        let (a, b) = self.key(name).split_once('x').unwrap();
        [a.parse().unwrap(), b.parse().unwrap()]
    }

    /// The bounds of the fused activation.
    pub fn activation(&self) -> [f32; 2] {
        match self.key("act") {
            "relu" => [0.0, f32::INFINITY],
            "relu6" => [0.0, 6.0],
            "relu_n1_to_1" => [-1.0, 1.0],
            _ => [f32::NEG_INFINITY, f32::INFINITY],
        }
    }

    /// The window of a case with `stride`, `padding`, and this kernel.
    pub fn window(&self, [kernel_h, kernel_w]: [usize; 2]) -> Window {
        let (input, out) = (&self.inputs[0].shape, &self.out().shape);
        let stride = self.pair("stride");
        let pad = |axis: usize, kernel: usize| match self.key("padding") {
            "same" => ((out[axis] - 1) * stride[axis - 1] + kernel).saturating_sub(input[axis]) / 2,
            _ => 0,
        };
        Window {
            batch: input[0],
            in_h: input[1],
            in_w: input[2],
            out_h: out[1],
            out_w: out[2],
            kernel_h,
            kernel_w,
            stride,
            dilation: [1, 1],
            pad_top: pad(1, kernel_h),
            pad_left: pad(2, kernel_w),
        }
    }

    pub fn out(&self) -> &Tensor<'_> {
        &self.outputs[0]
    }

    /// What the test says when it fails.
    pub fn name(&self) -> String {
        let shapes: Vec<_> = self.inputs.iter().map(|i| (i.dtype, &i.shape, &i.scales)).collect();
        let out = self.out();
        format!("{} {:?} {shapes:?} to {} {:?}", self.operator, self.keys, out.dtype, out.scales)
    }
}

impl Tensor<'_> {
    pub fn operand<'a, T>(&'a self, values: &'a [T]) -> Operand<'a, T> {
        Operand { shape: &self.shape, values }
    }

    pub fn affine(&self) -> Affine {
        Affine { scale: self.scales[0], zero_point: self.zero_point }
    }

    pub fn elements<T: Quantized>(&self) -> Vec<T> {
        assert_eq!(self.dtype, if T::MIN == 0 { "uint8" } else { "int8" });
        self.bytes.iter().map(|&byte| T::from_i32(i32::from(byte))).collect()
    }

    pub fn floats(&self) -> Vec<f32> {
        assert_eq!(self.dtype, "float32");
        self.words().into_iter().map(f32::from_bits).collect()
    }

    pub fn ints(&self) -> Vec<i32> {
        assert_eq!(self.dtype, "int32");
        self.words().into_iter().map(|word| word as i32).collect()
    }

    pub fn longs(&self) -> Vec<i64> {
        assert_eq!(self.dtype, "int64");
        let word = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap());
        self.bytes.chunks_exact(8).map(word).collect()
    }

    fn words(&self) -> Vec<u32> {
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        self.bytes.chunks_exact(4).map(word).collect()
    }
}

/// XNNPACK's float functions and ours each err by some 1e-6.
const FLOAT_TOLERANCE: f32 = 1e-5;

/// The recorded elements and those found must be equal.
#[track_caller]
pub fn assert_equal<T: Quantized>(case: &Case, what: &str, found: &[T]) {
    let expected = case.out().elements::<T>();
    let at = expected.iter().zip(found).position(|(e, f)| e != f);
    assert!(
        at.is_none() && expected.len() == found.len(),
        "{what} of {}: at {at:?}: {:?} is not {:?}",
        case.name(),
        found[at.unwrap_or(0)],
        expected[at.unwrap_or(0)],
    );
}

/// The recorded floats and those found must agree but for rounding.
#[track_caller]
pub fn assert_near(case: &Case, what: &str, found: &[f32]) {
    let expected = case.out().floats();
    assert_eq!(expected.len(), found.len(), "{what} of {}", case.name());
    for (at, (e, f)) in expected.iter().zip(found).enumerate() {
        let error = (e - f).abs();
        assert!(
            e == f || error <= FLOAT_TOLERANCE * e.abs().max(1.0),
            "{what} of {}: at {at}: {f} is not {e}",
            case.name()
        );
    }
}

/// Calls `$body::<T>($case)` for the 8-bit type of a case's first input.
#[macro_export]
macro_rules! each_type {
    ($case:expr, $body:ident) => {
        match $case.inputs[0].dtype {
            "int8" => $body::<i8>($case),
            "uint8" => $body::<u8>($case),
            other => panic!("{other}"),
        }
    };
}
