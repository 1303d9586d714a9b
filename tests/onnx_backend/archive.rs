//! Reads the file that `scripts/onnx/backend.py` writes; the format stands there.
//!
//! The file is our own, so whatever is wrong in it panics.

use std::rc::Rc;

use half::f16;
use miniz_oxide::inflate::decompress_to_vec_zlib;

/// A test of the ONNX project.
pub struct Case {
    pub name: String,
    pub model: Rc<[u8]>,
    pub inputs: Vec<Array>,
    pub outputs: Vec<Array>,
}

/// A tensor as ONNX has it.
#[derive(Clone)]
pub struct Array {
    /// `TensorProto.DataType`.
    pub kind: u32,
    pub shape: Vec<usize>,
    /// Elements, little-endian.
    pub bytes: Rc<[u8]>,
}

impl Array {
    /// The elements; integers of 64 bits lose what is beyond 2^53.
    pub fn numbers(&self) -> Vec<f64> {
        fn each<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            bytes.as_chunks::<N>().0.iter().map(|chunk| f(*chunk)).collect()
        }
        let bytes = &*self.bytes;
        match self.kind {
            1 => each(bytes, |b| f32::from_le_bytes(b).into()),
            2 | 9 => each(bytes, |[b]| b.into()),
            3 => each(bytes, |b| i8::from_le_bytes(b).into()),
            4 => each(bytes, |b| u16::from_le_bytes(b).into()),
            5 => each(bytes, |b| i16::from_le_bytes(b).into()),
            6 => each(bytes, |b| i32::from_le_bytes(b).into()),
            7 => each(bytes, |b| i64::from_le_bytes(b) as f64),
            10 => each(bytes, |b| f16::from_le_bytes(b).to_f64()),
            11 => each(bytes, f64::from_le_bytes),
            12 => each(bytes, |b| u32::from_le_bytes(b).into()),
            13 => each(bytes, |b| u64::from_le_bytes(b) as f64),
            kind => panic!("elements of type {kind}"),
        }
    }
}

/// Reads a file.
pub fn read(file: &[u8]) -> Vec<Case> {
    let packed = file.strip_prefix(b"ACHB").expect("a file of cases");
    let bytes = decompress_to_vec_zlib(packed).expect("an intact file of cases");
    let mut reader = Reader { rest: &bytes };
    let mut blobs: Vec<Rc<[u8]>> = Vec::new();
    for _ in 0..reader.number() {
        let length = reader.number();
        blobs.push(reader.take(length).into());
    }
    let count = reader.number();
    let cases = (0..count).map(|_| reader.case(&blobs)).collect();
    assert!(reader.rest.is_empty(), "bytes are left over");
    cases
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn number(&mut self) -> usize {
        let bytes = self.take(4).try_into().expect("four bytes");
        usize::try_from(u32::from_le_bytes(bytes)).expect("a usize")
    }

    fn tensors(&mut self, blobs: &[Rc<[u8]>]) -> Vec<Array> {
        let count = self.number();
        let mut tensors = Vec::with_capacity(count);
        for _ in 0..count {
            let kind = u32::try_from(self.number()).expect("a u32");
            let rank = self.number();
            let shape = (0..rank).map(|_| self.number()).collect();
            tensors.push(Array { kind, shape, bytes: Rc::clone(&blobs[self.number()]) });
        }
        tensors
    }

    fn case(&mut self, blobs: &[Rc<[u8]>]) -> Case {
        let name = str::from_utf8(&blobs[self.number()]).expect("a name").to_owned();
        let model = Rc::clone(&blobs[self.number()]);
        Case { name, model, inputs: self.tensors(blobs), outputs: self.tensors(blobs) }
    }
}
