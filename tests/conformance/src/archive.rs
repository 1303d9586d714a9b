//! Reads `cases/<OPERATOR>.bin`; the format stands in `scripts/conformance/archive.py`.
//!
//! These files are our own, so whatever is wrong in them panics.

use miniz_oxide::inflate::decompress_to_vec_zlib;

/// A model with inputs, and what TensorFlow Lite answers.
pub struct Case {
    /// What is special about it; unique beside `dtype`.
    pub name: String,
    /// The column of the table: the element type that matters, or `hybrid`.
    pub dtype: String,
    /// The `.tflite` file; empty where TensorFlow Lite refuses it.
    pub model: Vec<u8>,
    /// Elements of each input, little-endian.
    pub inputs: Vec<Vec<u8>>,
    /// XNNPACK and built-in kernels, as applications get them.
    pub default: Answer,
    /// The reference kernels.
    pub reference: Answer,
}

/// What one runtime answers.
#[derive(Clone)]
pub enum Answer {
    /// The reason why it runs no such model.
    Refused(String),
    /// The results.
    Tensors(Vec<Array>),
}

/// One result.
#[derive(Clone)]
pub struct Array {
    /// `TensorType` of the schema.
    pub dtype: u8,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Elements, little-endian.
    pub bytes: Vec<u8>,
}

const MAGIC: &[u8] = b"ACHC\x01";

/// Reads a file.
pub(crate) fn read(file: &[u8]) -> Vec<Case> {
    let packed = file.strip_prefix(MAGIC).expect("a file of cases");
    let bytes = decompress_to_vec_zlib(packed).expect("an intact file of cases");
    let mut reader = Reader { rest: &bytes };
    let cases = (0..reader.u32()).map(|_| reader.case()).collect();
    assert!(reader.rest.is_empty(), "bytes are left over");
    cases
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u32(&mut self) -> usize {
        let bytes = self.take(4).try_into().expect("four bytes");
        usize::try_from(u32::from_le_bytes(bytes)).expect("32 bits")
    }

    fn text(&mut self) -> String {
        let len = u16::from_le_bytes(self.take(2).try_into().expect("two bytes"));
        String::from_utf8(self.take(usize::from(len)).to_vec()).expect("UTF-8")
    }

    fn blob(&mut self) -> Vec<u8> {
        let len = self.u32();
        self.take(len).to_vec()
    }

    fn case(&mut self) -> Case {
        let (name, dtype, model) = (self.text(), self.text(), self.blob());
        let inputs = (0..self.u8()).map(|_| self.blob()).collect();
        let default = self.answer(None);
        let reference = self.answer(Some(&default));
        Case { name, dtype, model, inputs, default, reference }
    }

    fn answer(&mut self, before: Option<&Answer>) -> Answer {
        match self.u8() {
            0 => Answer::Refused(self.text()),
            1 => Answer::Tensors((0..self.u8()).map(|_| self.array()).collect()),
            2 => before.expect("an answer before").clone(),
            other => panic!("an answer of kind {other}"),
        }
    }

    fn array(&mut self) -> Array {
        let (dtype, rank) = (self.u8(), self.u8());
        let shape = (0..rank).map(|_| self.u32()).collect();
        Array { dtype, shape, bytes: self.blob() }
    }
}
